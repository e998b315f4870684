/**
 * The bytes of an answer as they come.
 *
 * @module
 */
import { type Attempt, networkFailure } from "./failures.ts";
import { STALL_MS, StallError } from "./stall.ts";

/** Most bytes of a piece. */
const PIECE_BYTES = 1 << 20;

/**
 * Bytes of an answer; a break in the middle of them, or nothing for too long, becomes a `StorageInterruptedError`. A piece is
 * only good until the next one is asked for.
 */
export async function* bodyOf(
  attempt: Attempt,
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  try {
    yield* piecesOf(body, attempt.stallMs ?? STALL_MS);
  } catch (error) {
    throw networkFailure(attempt, error, signal);
  }
}

/**
 * All that has come, read into one buffer again and again where the stream is one of bytes: two thirds of the processor time of
 * small pieces in memory of their own, and less of it.
 */
async function* piecesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  stallMs: number,
): AsyncGenerator<Uint8Array> {
  const reader = readerOf(stream);
  let isStalled = false;
  const stall = () => {
    isStalled = true;
    void reader.cancel().catch(() => {}); // the read that waits ends
  };
  try {
    for (;;) {
      const timer = setTimeout(stall, stallMs); // only waiting counts, not what is done with the bytes
      const { value, done } = await reader.read().finally(() => clearTimeout(timer));
      if (isStalled) throw new StallError(stallMs);
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {}); // it broke
  }
}

/** What gives pieces of a stream; where it is none of bytes, as in some browsers, as they come. */
function readerOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Pick<ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>, "read" | "cancel"> {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch (error) {
    if (error instanceof TypeError) return stream.getReader();
    throw error;
  }
  let buffer = new ArrayBuffer(PIECE_BYTES);
  return {
    async read() {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (done) return { value: undefined, done };
      buffer = value.buffer;
      return { value, done };
    },
    cancel: (reason) => reader.cancel(reason),
  };
}
