/** Slow f64 twin of root mean square normalisation. */

export function rmsNormForward(
  x: Float64Array,
  weight: Float64Array,
  rows: number,
  cols: number,
  eps: number,
) {
  const y = new Float64Array(rows * cols), rstd = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let squares = 0;
    for (let c = 0; c < cols; c++) squares += x[r * cols + c]! ** 2;
    rstd[r] = 1 / Math.sqrt(squares / cols + eps);
    for (let c = 0; c < cols; c++) y[r * cols + c] = x[r * cols + c]! * rstd[r]! * weight[c]!;
  }
  return { y, rstd };
}

export function rmsNormBackward(
  dy: Float64Array,
  x: Float64Array,
  weight: Float64Array,
  rstd: Float64Array,
  rows: number,
  cols: number,
): Float64Array {
  const dx = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    let mean = 0;
    for (let c = 0; c < cols; c++) mean += dy[r * cols + c]! * weight[c]! * x[r * cols + c]! / cols;
    for (let c = 0; c < cols; c++) {
      const i = r * cols + c;
      dx[i] = rstd[r]! * (dy[i]! * weight[c]! - x[i]! * rstd[r]! ** 2 * mean);
    }
  }
  return dx;
}

export function rmsNormBackwardWeight(
  dy: Float64Array,
  x: Float64Array,
  rstd: Float64Array,
  rows: number,
  cols: number,
): Float64Array {
  const dweight = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) dweight[c]! += dy[r * cols + c]! * x[r * cols + c]! * rstd[r]!;
  }
  return dweight;
}
