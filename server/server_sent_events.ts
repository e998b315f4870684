/**
 * Server-sent events: a stream that is read when the client takes from it, and its answer over HTTP.
 *
 * @module
 */
import { ApiError } from "./errors.ts";

/** Events as they go over the wire. */
export interface ToldEvents {
  readonly data: string | Uint8Array<ArrayBuffer>;
  /** Whether the stream ends behind them. */
  readonly isLast: boolean;
}

/** What a stream tells, and how often it does if there is nothing to tell. */
export interface EventSource {
  readonly heartbeatMs: number;
  /** Has `wake` called whenever there may be more to tell. @returns What ends that. */
  listen(wake: () => void): () => void;
  /** What to tell next; null for nothing yet. */
  next(): ToldEvents | null;
  /** Called once, when the stream has ended, whoever ended it. */
  onEnd(): void;
}

/** Milliseconds after which a client that lost the stream is to ask again. */
const RETRY_MS = 3000;

/** The events of a source. They are asked for when the client takes them: nothing is kept for a slow one. */
export function serverSentEvents(
  { heartbeatMs, listen, next, onEnd }: EventSource,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let wake: () => void = () => {}, isOpen = true, isFirst = true;
  const unlisten = listen(() => wake());
  const end = () => {
    if (!isOpen) return;
    isOpen = false;
    unlisten();
    wake();
    onEnd();
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const tell = (data: ToldEvents["data"]) =>
        controller.enqueue(typeof data === "string" ? encoder.encode(data) : data);
      if (isFirst) {
        isFirst = false;
        return tell(`retry: ${RETRY_MS}\n\n`);
      }
      while (isOpen) {
        const told = next();
        if (told) {
          tell(told.data);
          if (!told.isLast) return;
          controller.close();
          return end();
        }
        const isWoken = await woken(heartbeatMs, (call) => wake = call);
        if (!isWoken) return tell(": alive\n\n");
      }
    },
    cancel: end,
  }, { highWaterMark: 0 });
}

/** Waits to be woken, but no longer than so. @returns Whether it was. */
function woken(ms: number, wakeable: (wake: () => void) => void): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  wakeable(() => {
    clearTimeout(timer);
    resolve(true);
  });
  return promise;
}

/** Whether a client asks for events by its header `Accept`. */
export function wantsEvents(accept: string | undefined): boolean {
  return /\btext\/event-stream\b/i.test(accept ?? "");
}

/** An answer of events that are passed on at once, by proxies too. */
export function eventResponse(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    },
  });
}

/** Answers with streams, a limited number at a time. */
export class EventResponses {
  readonly #most: number;
  #open = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** @param streamOf Makes the stream, which must call what it is given when it has ended. @throws {ApiError} 429 */
  answer(streamOf: (onEnd: () => void) => ReadableStream<Uint8Array>): Response {
    if (this.#open >= this.#most) {
      throw new ApiError(429, "Too many streams are open. Try again later.", { retryAfter: 10 });
    }
    this.#open++;
    return eventResponse(streamOf(() => this.#open--));
  }
}
