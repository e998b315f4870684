/** Slow f64 twin: summed loss over rows with a target (≥ 0), and gradients scaled by `weight`. */
export function crossEntropy(
  logits: Float64Array,
  targets: readonly number[],
  vocab: number,
  weight: number,
) {
  const dlogits = new Float64Array(logits.length);
  let loss = 0;
  targets.forEach((target, r) => {
    if (target < 0) return;
    const row = logits.subarray(r * vocab, (r + 1) * vocab);
    const m = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const s = row.reduce((sum, l) => sum + Math.exp(l - m), 0);
    loss += m + Math.log(s) - row[target]!;
    row.forEach((l, c) => dlogits[r * vocab + c] = weight * (Math.exp(l - m) / s - (c === target ? 1 : 0)));
  });
  return { loss, dlogits };
}
