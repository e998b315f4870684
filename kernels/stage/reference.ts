/** Slow twins of staging: copies, bit for bit. */

/** [rows, cols] padded with zeros to [height, 4·width]. */
export function padded(
  x: ArrayLike<number>,
  { rows, cols, width, height }: { rows: number; cols: number; width: number; height: number },
): Float64Array {
  const y = new Float64Array(4 * width * height);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) y[r * 4 * width + c] = x[r * cols + c]!;
  }
  return y;
}

/** [cols, rows] from [rows, cols]. */
export function transpose(x: ArrayLike<number>, rows: number, cols: number): Float64Array {
  const y = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) y[c * rows + r] = x[r * cols + c]!;
  }
  return y;
}
