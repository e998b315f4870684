/** Slow f64 twin: norm over all gradients and torch's clipping coefficient; a maxNorm of 0 clips nothing. */
export function gradNorm(grads: Float64Array, maxNorm: number) {
  const norm = Math.sqrt(grads.reduce((sum, g) => sum + g * g, 0));
  return { norm, coefficient: maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1 };
}
