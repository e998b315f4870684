/** Slow f64 twin of the rotary embedding: out of place, [rows, heads, 2·halfDim]. */
export function ropeRotate(
  x: Float64Array,
  cos: Float64Array,
  sin: Float64Array,
  { rows, rowLength, heads, halfDim, direction }: {
    rows: number;
    rowLength: number;
    heads: number;
    halfDim: number;
    direction: number;
  },
): Float64Array {
  const y = new Float64Array(x.length);
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < halfDim; i++) {
        const low = (r * heads + h) * 2 * halfDim + i, high = low + halfDim;
        const at = (r % rowLength) * halfDim + i;
        y[low] = x[low]! * cos[at]! - x[high]! * direction * sin[at]!;
        y[high] = x[high]! * cos[at]! + x[low]! * direction * sin[at]!;
      }
    }
  }
  return y;
}
