/** Slow f64 twin of root mean square normalisation: of vectors of `weight.length` columns, however many there are. */

export function rmsNormForward(x: Float64Array, weight: Float64Array, eps: number, offset = 0) {
  const cols = weight.length, rows = x.length / cols;
  const y = new Float64Array(x.length), rstd = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let squares = 0;
    for (let c = 0; c < cols; c++) squares += x[r * cols + c]! ** 2;
    rstd[r] = 1 / Math.sqrt(squares / cols + eps);
    for (let c = 0; c < cols; c++) y[r * cols + c] = x[r * cols + c]! * rstd[r]! * (offset + weight[c]!);
  }
  return { y, rstd };
}

export function rmsNormBackward(
  dy: Float64Array,
  x: Float64Array,
  weight: Float64Array,
  rstd: Float64Array,
  offset = 0,
): Float64Array {
  const cols = weight.length;
  const g = dy.map((value, i) => value * (offset + weight[i % cols]!));
  const dx = new Float64Array(x.length);
  for (let r = 0; r < rstd.length; r++) {
    let mean = 0;
    for (let c = 0; c < cols; c++) mean += g[r * cols + c]! * x[r * cols + c]! / cols;
    for (let c = 0; c < cols; c++) {
      const i = r * cols + c;
      dx[i] = rstd[r]! * (g[i]! - x[i]! * rstd[r]! ** 2 * mean);
    }
  }
  return dx;
}

export function rmsNormBackwardWeight(
  dy: Float64Array,
  x: Float64Array,
  rstd: Float64Array,
  cols: number,
): Float64Array {
  const dweight = new Float64Array(cols);
  for (let i = 0; i < x.length; i++) dweight[i % cols]! += dy[i]! * x[i]! * rstd[Math.floor(i / cols)]!;
  return dweight;
}
