/**
 * A job's events as they come, as server-sent events.
 *
 * @module
 */
import type { EventStore, JobEvent } from "./event_store.ts";
import { eventToWire } from "./job_wire.ts";

/** What a stream tells, and how often it does if there is nothing to tell. */
export interface EventStreamOptions {
  readonly jobId: string;
  /** Number of the last event that the client has; 0 for none. */
  readonly after: number;
  readonly heartbeatMs: number;
  /** Whether no event comes after those that are there. */
  readonly isOver: () => boolean;
  /** Called once, when the stream has ended, whoever ended it. */
  readonly onEnd: () => void;
}

/** Events that are read at once. */
const BATCH = 100;

/** Milliseconds after which a client that lost the stream is to ask again. */
const RETRY_MS = 3000;

/**
 * All events after one, then those that follow. They are read from the store when the client takes them: nothing is lost
 * or kept for a slow one. Ends with an event `done` after the last event of a job that is over.
 */
export function eventStream(events: EventStore, options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { jobId, heartbeatMs, isOver, onEnd } = options;
  const encoder = new TextEncoder();
  let seq = options.after, wake: () => void = () => {}, isOpen = true, isFirst = true;
  const unlisten = events.listen(jobId, () => wake());
  const end = () => {
    if (!isOpen) return;
    isOpen = false;
    unlisten();
    wake();
    onEnd();
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (isFirst) {
        isFirst = false;
        return controller.enqueue(encoder.encode(`retry: ${RETRY_MS}\n\n`));
      }
      while (isOpen) {
        const over = isOver(), found = events.after(jobId, seq, BATCH); // over first: what came before it is found then
        if (found.length > 0) {
          seq = found.at(-1)!.seq;
          return controller.enqueue(encoder.encode(found.map(frame).join("")));
        }
        if (over) {
          controller.enqueue(encoder.encode(`event: done\nid: ${seq}\ndata: [DONE]\n\n`));
          controller.close();
          return end();
        }
        const isWoken = await wait(heartbeatMs, (woken) => wake = woken);
        if (!isWoken) return controller.enqueue(encoder.encode(": alive\n\n"));
      }
    },
    cancel: end,
  }, { highWaterMark: 0 });
}

/** One event. Its data is one line, as JSON has no raw line ends. */
function frame(event: JobEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(eventToWire(event))}\n\n`;
}

/** Waits to be woken, but no longer than so. @returns Whether it was. */
function wait(ms: number, wakeable: (wake: () => void) => void): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  wakeable(() => {
    clearTimeout(timer);
    resolve(true);
  });
  return promise;
}
