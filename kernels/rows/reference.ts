/** Slow twins of gather and scatter; a negative index is a filler row. */

export function gatherRows(x: Float64Array, index: readonly number[], cols: number): Float64Array {
  const y = new Float64Array(index.length * cols);
  index.forEach((row, i) => row >= 0 && y.set(x.subarray(row * cols, (row + 1) * cols), i * cols));
  return y;
}

export function scatterRows(
  x: Float64Array,
  index: readonly number[],
  rows: number,
  cols: number,
): Float64Array {
  const y = new Float64Array(rows * cols);
  index.forEach((row, i) => row >= 0 && y.set(x.subarray(i * cols, (i + 1) * cols), row * cols));
  return y;
}
