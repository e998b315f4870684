/**
 * A job's events as they come, as server-sent events.
 *
 * @module
 */
import type { EventStore, JobEvent } from "./event_store.ts";
import { eventToWire } from "./job_wire.ts";
import { serverSentEvents } from "./server_sent_events.ts";

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

/**
 * All events after one, then those that follow. They are read from the store when the client takes them: nothing is lost
 * or kept for a slow one. Ends with an event `done` after the last event of a job that is over.
 */
export function eventStream(events: EventStore, options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { jobId, heartbeatMs, isOver, onEnd } = options;
  let seq = options.after;
  return serverSentEvents({
    heartbeatMs,
    onEnd,
    listen: (wake) => events.listen(jobId, wake),
    next() {
      const over = isOver(), found = events.after(jobId, seq, BATCH); // over first: what came before it is found then
      if (found.length > 0) {
        seq = found.at(-1)!.seq;
        return { text: found.map(frame).join(""), isLast: false };
      }
      return over ? { text: `event: done\nid: ${seq}\ndata: [DONE]\n\n`, isLast: true } : null;
    },
  });
}

/** One event. Its data is one line, as JSON has no raw line ends. */
function frame(event: JobEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(eventToWire(event))}\n\n`;
}
