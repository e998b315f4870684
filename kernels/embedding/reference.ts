/** Slow twin of the embedding gather. */
export function embeddingForward(table: Float64Array, ids: ArrayLike<number>, cols: number): Float64Array {
  const y = new Float64Array(ids.length * cols);
  for (let r = 0; r < ids.length; r++) y.set(table.subarray(ids[r]! * cols, (ids[r]! + 1) * cols), r * cols);
  return y;
}
