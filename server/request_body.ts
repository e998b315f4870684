/**
 * Bodies of requests as they come: counted, and given up when nothing comes.
 *
 * @module
 */
import { ApiError } from "./errors.ts";

/** What a body must keep to. */
export interface BodyLimits {
  /** Bytes that it must have. */
  readonly bytes: number;
  /** Longest pause between two pieces. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/**
 * Pieces of a body.
 *
 * @throws {ApiError} 400 if there are more or fewer bytes or the connection is gone, 408 if nothing comes for too long.
 */
export async function* piecesOf(
  body: ReadableStream<Uint8Array> | null,
  { bytes, idleMs, signal }: BodyLimits,
): AsyncGenerator<Uint8Array> {
  const reader = (body ?? new Blob([]).stream()).getReader();
  let count = 0, timer: ReturnType<typeof setTimeout> | undefined;
  const given = Promise.withResolvers<never>();
  given.promise.catch(() => {});
  const stop = () => given.reject(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  const idle = () => given.reject(new ApiError(408, "The body stopped coming.", { code: "body_timeout" }));
  try {
    for (;;) {
      timer = setTimeout(idle, idleMs);
      const { value, done } = await Promise.race([reader.read().catch(refuseBroken), given.promise]);
      clearTimeout(timer);
      if (done) break;
      count += value.length;
      if (count > bytes) throw wrongLength(bytes);
      yield value;
    }
    if (count < bytes) throw wrongLength(bytes);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    reader.cancel().catch(() => {}); // it broke
  }
}

function refuseBroken(): never {
  throw new ApiError(400, "The body broke off.", { code: "body_broken" });
}

function wrongLength(bytes: number): ApiError {
  return new ApiError(400, `The body has not the ${bytes} bytes that its headers say.`, {
    code: "wrong_length",
  });
}
