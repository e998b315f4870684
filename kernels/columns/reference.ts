/** Slow twins of the copies and sums of columns. */

export function takeColumns(x: Float64Array, xCols: number, first: number, cols: number): Float64Array {
  return Float64Array.from({ length: x.length / xCols * cols }, (_, i) => {
    return x[Math.floor(i / cols) * xCols + first + i % cols]!;
  });
}

export function sumColumns(x: Float64Array, cols: number): Float64Array {
  const sums = new Float64Array(cols);
  x.forEach((value, i) => sums[i % cols]! += value);
  return sums;
}
