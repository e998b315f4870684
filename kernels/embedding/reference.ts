/** Slow twin of the embedding gather. */
export function embeddingForward(table: Float64Array, ids: ArrayLike<number>, cols: number): Float64Array {
  const y = new Float64Array(ids.length * cols);
  for (let r = 0; r < ids.length; r++) y.set(table.subarray(ids[r]! * cols, (ids[r]! + 1) * cols), r * cols);
  return y;
}

/** Slow twin of the table's gradient. */
export function embeddingBackward(
  dx: Float64Array,
  ids: ArrayLike<number>,
  vocab: number,
  cols: number,
): Float64Array {
  const dtable = new Float64Array(vocab * cols);
  for (let r = 0; r < ids.length; r++) {
    for (let c = 0; c < cols; c++) dtable[ids[r]! * cols + c]! += dx[r * cols + c]!;
  }
  return dtable;
}
