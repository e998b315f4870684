/** Slow f64 twins of attention with grouped heads over the keys that spans name. */

export interface AttentionShape {
  readonly batch: number;
  readonly rowLength: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** c of c·tanh(z / c) on scores; 0 leaves them as they are. Default 0. */
  readonly softcap?: number;
  /** [B·T, 2]: first key that a position sees, one past the last query that sees it; within its batch row. */
  readonly spans: ArrayLike<number>;
}

/** Probabilities of query t over the keys first..t, and what they fall by where a score is capped. */
function probabilities(q: Float64Array, k: Float64Array, s: AttentionShape, b: number, h: number, t: number) {
  const kv = Math.floor(h / (s.heads / s.kvHeads));
  const first = s.spans[2 * (b * s.rowLength + t)]!;
  const capped = Array.from({ length: t + 1 - first }, (_, j) => {
    let sum = 0;
    for (let d = 0; d < s.headDim; d++) {
      sum += q[((b * s.rowLength + t) * s.heads + h) * s.headDim + d]! *
        k[((b * s.rowLength + first + j) * s.kvHeads + kv) * s.headDim + d]!;
    }
    return s.softcap ? Math.tanh(s.scale * sum / s.softcap) : s.scale * sum;
  });
  const scores = s.softcap ? capped.map((x) => s.softcap! * x) : capped;
  const slopes = capped.map((x) => s.softcap ? 1 - x * x : 1);
  const m = Math.max(...scores);
  const lse = m + Math.log(scores.reduce((sum, x) => sum + Math.exp(x - m), 0));
  return { kv, first, p: scores.map((x) => Math.exp(x - lse)), slopes, lse };
}

export function attentionForward(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  s: AttentionShape,
): Float64Array {
  const out = new Float64Array(q.length);
  for (let b = 0; b < s.batch; b++) {
    for (let h = 0; h < s.heads; h++) {
      for (let t = 0; t < s.rowLength; t++) {
        const { kv, first, p } = probabilities(q, k, s, b, h, t);
        for (let d = 0; d < s.headDim; d++) {
          out[((b * s.rowLength + t) * s.heads + h) * s.headDim + d] = p.reduce(
            (sum, weight, j) =>
              sum + weight * v[((b * s.rowLength + first + j) * s.kvHeads + kv) * s.headDim + d]!,
            0,
          );
        }
      }
    }
  }
  return out;
}

export function attentionBackward(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  dout: Float64Array,
  s: AttentionShape,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const dq = new Float64Array(q.length), dk = new Float64Array(k.length), dv = new Float64Array(v.length);
  for (let b = 0; b < s.batch; b++) {
    for (let h = 0; h < s.heads; h++) {
      for (let t = 0; t < s.rowLength; t++) {
        const { kv, first, p, slopes } = probabilities(q, k, s, b, h, t);
        const atQ = ((b * s.rowLength + t) * s.heads + h) * s.headDim;
        const atK = (j: number) => ((b * s.rowLength + first + j) * s.kvHeads + kv) * s.headDim;
        const dp = p.map((_, j) => {
          let sum = 0;
          for (let d = 0; d < s.headDim; d++) sum += dout[atQ + d]! * v[atK(j) + d]!;
          return sum;
        });
        const delta = p.reduce((sum, weight, j) => sum + weight * dp[j]!, 0);
        p.forEach((weight, j) => {
          const ds = s.scale * weight * (dp[j]! - delta) * slopes[j]!;
          for (let d = 0; d < s.headDim; d++) {
            dv[atK(j) + d]! += weight * dout[atQ + d]!;
            dq[atQ + d]! += ds * k[atK(j) + d]!;
            dk[atK(j) + d]! += ds * q[atQ + d]!;
          }
        });
      }
    }
  }
  return { dq, dk, dv };
}
