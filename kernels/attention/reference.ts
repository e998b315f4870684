/** Slow f64 twins of causal attention with grouped heads and padding. */

export interface AttentionShape {
  readonly batch: number;
  readonly rowLength: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** Real tokens of each batch row. */
  readonly lengths: readonly number[];
}

/** Probabilities of query t over keys 0..min(t, length − 1), and their log-sum-exp. */
function probabilities(q: Float64Array, k: Float64Array, s: AttentionShape, b: number, h: number, t: number) {
  const kv = Math.floor(h / (s.heads / s.kvHeads));
  const seen = Math.min(t + 1, Math.max(1, s.lengths[b]!));
  const scores = Array.from({ length: seen }, (_, j) => {
    let sum = 0;
    for (let d = 0; d < s.headDim; d++) {
      sum += q[((b * s.rowLength + t) * s.heads + h) * s.headDim + d]! *
        k[((b * s.rowLength + j) * s.kvHeads + kv) * s.headDim + d]!;
    }
    return s.scale * sum;
  });
  const m = Math.max(...scores);
  const lse = m + Math.log(scores.reduce((sum, x) => sum + Math.exp(x - m), 0));
  return { kv, p: scores.map((x) => Math.exp(x - lse)), lse };
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
        const { kv, p } = probabilities(q, k, s, b, h, t);
        for (let d = 0; d < s.headDim; d++) {
          out[((b * s.rowLength + t) * s.heads + h) * s.headDim + d] = p.reduce(
            (sum, weight, j) => sum + weight * v[((b * s.rowLength + j) * s.kvHeads + kv) * s.headDim + d]!,
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
      // padded queries receive no gradient
      for (let t = 0; t < Math.min(s.rowLength, Math.max(1, s.lengths[b]!)); t++) {
        const { kv, p } = probabilities(q, k, s, b, h, t);
        const atQ = ((b * s.rowLength + t) * s.heads + h) * s.headDim;
        const atK = (j: number) => ((b * s.rowLength + j) * s.kvHeads + kv) * s.headDim;
        const dp = p.map((_, j) => {
          let sum = 0;
          for (let d = 0; d < s.headDim; d++) sum += dout[atQ + d]! * v[atK(j) + d]!;
          return sum;
        });
        const delta = p.reduce((sum, weight, j) => sum + weight * dp[j]!, 0);
        p.forEach((weight, j) => {
          const ds = s.scale * weight * (dp[j]! - delta);
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
