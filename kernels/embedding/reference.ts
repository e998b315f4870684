/** Slow twin of the embedding gather; ids outside of the table give zeros. */
export function embeddingForward(
  table: Float64Array,
  ids: ArrayLike<number>,
  cols: number,
  scale = 1,
): Float64Array {
  return Float64Array.from(
    { length: ids.length * cols },
    (_, i) => scale * (table[ids[Math.floor(i / cols)]! * cols + i % cols] ?? 0),
  );
}

/** Slow twin of the table's gradient. */
export function embeddingBackward(
  dx: Float64Array,
  ids: ArrayLike<number>,
  vocab: number,
  cols: number,
  scale = 1,
): Float64Array {
  const dtable = new Float64Array(vocab * cols);
  for (let r = 0; r < ids.length; r++) {
    if (ids[r]! >= vocab) continue;
    for (let c = 0; c < cols; c++) dtable[ids[r]! * cols + c]! += scale * dx[r * cols + c]!;
  }
  return dtable;
}
