/**
 * Slow f64 twin: summed loss over rows with a target (≥ 0), how many targets have the largest logit, and gradients scaled
 * by `weight`. With a cap c the logits are c · tanh(l / c).
 */
export function crossEntropy(
  logits: Float64Array,
  targets: readonly number[],
  vocab: number,
  weight: number,
  cap: number | null = null,
) {
  const dlogits = new Float64Array(logits.length);
  let loss = 0, correct = 0;
  targets.forEach((target, r) => {
    if (target < 0) return;
    const row = softcap(logits.subarray(r * vocab, (r + 1) * vocab), cap);
    const m = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const s = row.reduce((sum, z) => sum + Math.exp(z - m), 0);
    loss += m + Math.log(s) - row[target]!;
    if (row[target] === m) correct++;
    row.forEach((z, c) => {
      const dz = weight * (Math.exp(z - m) / s - (c === target ? 1 : 0));
      dlogits[r * vocab + c] = cap === null ? dz : dz * (1 - (z / cap) ** 2);
    });
  });
  return { loss, correct, dlogits };
}

/** cap · tanh(l / cap), or the logits as they are. */
export function softcap(logits: Float64Array, cap: number | null): Float64Array {
  return cap === null ? logits : logits.map((l) => cap * Math.tanh(l / cap));
}
