/**
 * Slow f64 twin of the rotary embedding of x [rows, heads, headDim]: the first 2 · pairs elements of each head, by rows
 * of the tables [T, pairs].
 */
export function ropeRotate(
  x: Float64Array,
  cos: Float64Array,
  sin: Float64Array,
  { positions, heads, headDim, pairs = headDim / 2, direction }: {
    positions: ArrayLike<number>;
    heads: number;
    headDim: number;
    pairs?: number;
    direction: 1 | -1;
  },
): Float64Array {
  const y = x.slice();
  for (let r = 0; r < positions.length; r++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < pairs; i++) {
        const low = (r * heads + h) * headDim + i, high = low + pairs;
        const at = positions[r]! * pairs + i;
        y[low] = x[low]! * cos[at]! - x[high]! * direction * sin[at]!;
        y[high] = x[high]! * cos[at]! + x[low]! * direction * sin[at]!;
      }
    }
  }
  return y;
}
