/**
 * Pieces as the body of a response.
 *
 * @module
 */

/**
 * Asks for a piece when the client takes one, and for none ahead.
 *
 * @param first The first piece, which was asked for before the response began, so that its failure could be told.
 * @param stop Called when the client goes.
 */
export function streamOf(
  first: IteratorResult<Uint8Array>,
  pieces: AsyncIterator<Uint8Array>,
  stop: () => void,
): ReadableStream<Uint8Array> {
  let next: IteratorResult<Uint8Array> | null = first;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = next ?? await pieces.next();
      next = null;
      if (done) controller.close();
      else controller.enqueue(value.slice()); // the memory of a piece is used again
    },
    async cancel() {
      stop();
      await pieces.return?.().catch(() => {}); // it was stopped
    },
  }, { highWaterMark: 0 });
}
