/** Slow f64 twin of attention over a cache. */

export interface CacheShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Places of one cache row. */
  readonly rowLength: number;
  readonly scale: number;
  /** Keys that a query sees at most, its own included; default all. */
  readonly window?: number;
  /** c of c·tanh(z / c) on scores; default none. */
  readonly softcap?: number;
}

/** out [R, H, D]; a query at place −1 gives zeros. */
export function attentionDecode(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  places: readonly number[],
  { heads, kvHeads, headDim, rowLength, scale, window = Infinity, softcap }: CacheShape,
): Float64Array {
  const out = new Float64Array(q.length);
  places.forEach((place, r) => {
    if (place < 0) return;
    const first = Math.floor(place / rowLength) * rowLength;
    const seen = Math.min(place - first + 1, window);
    const keys = Array.from({ length: seen }, (_, s) => place + 1 - seen + s);
    for (let h = 0; h < heads; h++) {
      const at = (r * heads + h) * headDim, kv = Math.floor(h / (heads / kvHeads));
      const atKey = (key: number) => (key * kvHeads + kv) * headDim;
      const scores = keys.map((key) => {
        let sum = 0;
        for (let d = 0; d < headDim; d++) sum += q[at + d]! * k[atKey(key) + d]!;
        return softcap ? softcap * Math.tanh(scale * sum / softcap) : scale * sum;
      });
      const most = Math.max(...scores), weights = scores.map((score) => Math.exp(score - most));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let d = 0; d < headDim; d++) {
        out[at + d] = keys.reduce((sum, key, i) => sum + weights[i]! / total * v[atKey(key) + d]!, 0);
      }
    }
  });
  return out;
}
