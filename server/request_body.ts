/**
 * Bodies of requests as they come: counted, and given up when nothing comes.
 *
 * @module
 */
import { ApiError } from "./errors.ts";

/** How long a body is waited for. */
export interface BodyPatience {
  /** Longest pause between two pieces, milliseconds. */
  readonly idleMs: number;
  readonly signal?: AbortSignal;
}

/** What a body of a known length must keep to. */
export interface BodyLimits extends BodyPatience {
  /** Bytes that it must have. */
  readonly bytes: number;
}

/**
 * Pieces of a body, however many come.
 *
 * @throws {ApiError} 400 if the connection is gone, 408 if nothing comes for too long. @throws The signal's reason.
 */
export async function* piecesInTime(
  body: ReadableStream<Uint8Array> | null,
  { idleMs, signal }: BodyPatience,
): AsyncGenerator<Uint8Array> {
  const reader = (body ?? new Blob([]).stream()).getReader();
  let timer: ReturnType<typeof setTimeout> | undefined, giveUp = (_: unknown) => {};
  const stop = () => giveUp(signal!.reason);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for (;;) {
      signal?.throwIfAborted();
      // a promise for each piece: a race with one for the whole body would keep every piece until its end
      const { promise: next, resolve, reject } = Promise.withResolvers<
        ReadableStreamReadResult<Uint8Array>
      >();
      giveUp = reject;
      timer = setTimeout(() => reject(stoppedComing()), idleMs);
      reader.read().then(resolve, () => reject(brokeOff()));
      const { value, done } = await next;
      clearTimeout(timer);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    reader.cancel().catch(() => {}); // it broke
  }
}

/**
 * Pieces of a body of a known length.
 *
 * @throws {ApiError} 400 if there are more or fewer bytes. @throws As {@link piecesInTime}.
 */
export async function* piecesOf(
  body: ReadableStream<Uint8Array> | null,
  { bytes, ...patience }: BodyLimits,
): AsyncGenerator<Uint8Array> {
  let count = 0;
  for await (const piece of piecesInTime(body, patience)) {
    count += piece.length;
    if (count > bytes) throw wrongLength(bytes);
    yield piece;
  }
  if (count < bytes) throw wrongLength(bytes);
}

/**
 * A whole body as text, malformed UTF-8 replaced.
 *
 * @param maxBytes Of the longest body.
 * @throws {ApiError} 413 if there are more bytes. @throws As {@link piecesInTime}.
 */
export async function textOf(
  body: ReadableStream<Uint8Array> | null,
  { maxBytes, ...patience }: BodyPatience & { readonly maxBytes: number },
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "", count = 0;
  for await (const piece of piecesInTime(body, patience)) {
    count += piece.length;
    if (count > maxBytes) {
      throw new ApiError(413, `The body is too large: up to ${maxBytes} bytes are taken.`);
    }
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

function stoppedComing(): ApiError {
  return new ApiError(408, "The body stopped coming.", { code: "body_timeout" });
}

function brokeOff(): ApiError {
  return new ApiError(400, "The body broke off.", { code: "body_broken" });
}

function wrongLength(bytes: number): ApiError {
  return new ApiError(400, `The body has not the ${bytes} bytes that its headers say.`, {
    code: "wrong_length",
  });
}
