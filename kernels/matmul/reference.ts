/** Slow f64 twins of the matrix products. Every matrix is row-major. */

/** y [M, N] = scale · x [M, K] · w [N, K]ᵀ */
export function matmulForward(
  x: Float64Array,
  w: Float64Array,
  { rows, cols, inner, scale = 1 }: { rows: number; cols: number; inner: number; scale?: number },
): Float64Array {
  const y = new Float64Array(rows * cols);
  for (let m = 0; m < rows; m++) {
    for (let n = 0; n < cols; n++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += x[m * inner + k]! * w[n * inner + k]!;
      y[m * cols + n] = scale * sum;
    }
  }
  return y;
}

/** y [M, K] = x [M, N] · w [N, K] */
export function matmulBackwardInput(
  x: Float64Array,
  w: Float64Array,
  { rows, cols, inner }: { rows: number; cols: number; inner: number },
): Float64Array {
  const y = new Float64Array(rows * cols);
  for (let m = 0; m < rows; m++) {
    for (let n = 0; n < inner; n++) {
      for (let c = 0; c < cols; c++) y[m * cols + c]! += x[m * inner + n]! * w[n * cols + c]!;
    }
  }
  return y;
}

/** out [P, Q] = left [M, P]ᵀ · right [M, Q] */
export function matmulBackwardFactor(
  left: Float64Array,
  right: Float64Array,
  { rows, leftCols, rightCols }: { rows: number; leftCols: number; rightCols: number },
): Float64Array {
  const out = new Float64Array(leftCols * rightCols);
  for (let m = 0; m < rows; m++) {
    for (let p = 0; p < leftCols; p++) {
      for (let q = 0; q < rightCols; q++) {
        out[p * rightCols + q]! += left[m * leftCols + p]! * right[m * rightCols + q]!;
      }
    }
  }
  return out;
}
