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

/** How many streams may be open at a time. */
export interface StreamLimits {
  /** Of all callers. */
  readonly maxEventStreams: number;
  /** Of one, so that nobody takes all of them. */
  readonly maxCallerStreams: number;
}

/** Answers with streams, a limited number at a time. */
export class EventResponses {
  readonly #limits: StreamLimits;
  /** Streams that are open, by caller; none is 0. */
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /**
   * @param caller Who asks, as `callerKey` tells them apart.
   * @param streamOf Makes the stream, which must call what it is given when it has ended.
   * @throws {ApiError} 429
   */
  answer(caller: string, streamOf: (onEnd: () => void) => ReadableStream<Uint8Array>): Response {
    const { maxEventStreams, maxCallerStreams } = this.#limits, own = this.#open.get(caller) ?? 0;
    if (own >= maxCallerStreams) {
      throw tooMany(
        `You have ${own} streams of events open, as many as one key or address may. Close one, or try again later.`,
      );
    }
    if (this.#total >= maxEventStreams) {
      throw tooMany(`All ${maxEventStreams} streams of events of this server are taken. Try again later.`);
    }
    this.#count(caller, 1);
    return eventResponse(streamOf(() => this.#count(caller, -1)));
  }

  #count(caller: string, change: 1 | -1): void {
    const own = (this.#open.get(caller) ?? 0) + change;
    if (own > 0) this.#open.set(caller, own);
    else this.#open.delete(caller);
    this.#total += change;
  }
}

function tooMany(message: string): ApiError {
  return new ApiError(429, message, { code: "too_many_streams", retryAfter: 10 });
}
