/**
 * Small pieces of bytes made large ones: slow networks give small ones, and each write to a disk costs.
 *
 * @module
 */

/**
 * The same bytes in pieces of `bytes`, the last one less. A piece is only good until the next one is asked for. Where the
 * source fails, what came before comes first.
 *
 * @param enough Pieces of so many bytes go on as they are while nothing waits; default none does.
 */
export async function* gathered(
  pieces: AsyncIterable<Uint8Array>,
  bytes: number,
  enough = Infinity,
): AsyncGenerator<Uint8Array> {
  let buffer: Uint8Array | null = null, filled = 0, failure: { readonly error: unknown } | null = null;
  const source = pieces[Symbol.asyncIterator]();
  try {
    while (true) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await source.next();
      } catch (error) {
        failure = { error };
        break;
      }
      if (next.done) break;
      const piece = next.value;
      if (filled === 0 && piece.length >= enough) {
        yield piece;
        continue;
      }
      buffer ??= new Uint8Array(bytes);
      for (let taken = 0; taken < piece.length;) {
        const part = piece.subarray(taken, taken + buffer.length - filled);
        buffer.set(part, filled);
        filled += part.length;
        taken += part.length;
        if (filled < buffer.length) continue;
        yield buffer;
        filled = 0;
      }
    }
    if (filled > 0) yield buffer!.subarray(0, filled);
    if (failure) throw failure.error;
  } finally {
    await source.return?.();
  }
}
