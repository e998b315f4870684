/** Slow f64 twin of one AdamW step; changes p, m and v in place. */
export function adamwUpdate(
  p: Float64Array,
  m: Float64Array,
  v: Float64Array,
  grads: Float64Array,
  { learningRate, weightDecay, beta1, beta2, epsilon, step, clip, rates }: {
    learningRate: number;
    weightDecay: number;
    beta1: number;
    beta2: number;
    epsilon: number;
    step: number;
    clip: number;
    /** What the learning rate of each value is multiplied by; default 1. */
    rates?: ArrayLike<number>;
  },
): void {
  for (let i = 0; i < p.length; i++) {
    const g = clip * grads[i]!;
    m[i] = beta1 * m[i]! + (1 - beta1) * g;
    v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
    const mHat = m[i]! / (1 - beta1 ** step), vHat = v[i]! / (1 - beta2 ** step);
    const rate = learningRate * (rates?.[i] ?? 1);
    p[i] = p[i]! * (1 - rate * weightDecay) - rate * mHat / (Math.sqrt(vHat) + epsilon);
  }
}
