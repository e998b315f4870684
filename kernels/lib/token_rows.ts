/**
 * Where the rows of a micro-batch stand among all tokens of the optimizer step, for kernels that draw by token: neither padding
 * nor the split into micro-batches then changes a draw.
 *
 * @module
 */

/** Writes for each row its length and the number of its first token. */
export function writeTokenRows(to: Uint32Array, lengths: Uint32Array, firstToken: number): void {
  let token = firstToken;
  lengths.forEach((length, row) => {
    to.set([length, token], 2 * row);
    token += length;
  });
}
