/**
 * The bytes of an answer as they come.
 *
 * @module
 */
import { type Attempt, networkFailure } from "./failures.ts";

/** Most bytes of a piece. */
const PIECE_BYTES = 1 << 20;

/**
 * Bytes of an answer; a break in the middle of them becomes a `StorageInterruptedError`. A piece is only good until the next
 * one is asked for.
 */
export async function* bodyOf(
  attempt: Attempt,
  body: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array<ArrayBuffer>> | null,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  try {
    yield* body instanceof ReadableStream ? piecesOf(body) : body;
  } catch (error) {
    throw networkFailure(attempt, error, signal);
  }
}

/** All that has come, read into one buffer again and again: two thirds of the processor time of small pieces in memory of their own, and less of it. */
async function* piecesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Uint8Array> {
  const reader = byteReaderOf(stream);
  if (reader === null) {
    yield* stream;
    return;
  }
  let buffer = new ArrayBuffer(PIECE_BYTES);
  try {
    for (;;) {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (done) return;
      yield value;
      buffer = value.buffer;
    }
  } finally {
    await reader.cancel().catch(() => {}); // it broke
  }
}

/** Null where the stream is none of bytes, as in some browsers. */
function byteReaderOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStreamBYOBReader | null {
  try {
    return stream.getReader({ mode: "byob" });
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}
