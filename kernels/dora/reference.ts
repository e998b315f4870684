/** Slow f64 twins of DoRA's kernels. V = W + s·B·A is made whole here. */

/** Sizes of a map and its update. */
export interface DoraSizes {
  /** Outputs. */
  readonly rows: number;
  /** Inputs. */
  readonly cols: number;
  readonly rank: number;
  readonly scaling: number;
}

/** V [rows, cols] = W + s·B [rows, rank]·A [rank, cols] */
export function direction(
  w: Float64Array,
  a: Float64Array,
  b: Float64Array,
  { cols, rank, scaling }: DoraSizes,
): Float64Array {
  return w.map((value, i) => {
    const row = Math.floor(i / cols), col = i % cols;
    let sum = 0;
    for (let j = 0; j < rank; j++) sum += b[row * rank + j]! * a[j * cols + col]!;
    return value + scaling * sum;
  });
}

/** ‖·‖ of each row. */
export function rowNorms(values: Float64Array, cols: number): Float64Array {
  return Float64Array.from({ length: values.length / cols }, (_, row) => {
    return Math.hypot(...values.subarray(row * cols, (row + 1) * cols));
  });
}

/** y [R, C] = m / n · z */
export function gain(z: Float64Array, magnitude: Float64Array, norms: Float64Array): Float64Array {
  const cols = norms.length;
  return z.map((value, i) => norms[i % cols] === 0 ? 0 : magnitude[i % cols]! / norms[i % cols]! * value);
}

/** dm [C] = Σ_r dy·z / n */
export function backwardMagnitude(dy: Float64Array, z: Float64Array, norms: Float64Array): Float64Array {
  const cols = norms.length, sums = new Float64Array(cols);
  dy.forEach((value, i) => {
    const norm = norms[i % cols]!;
    if (norm > 0) sums[i % cols]! += value * z[i]! / norm;
  });
  return sums;
}
