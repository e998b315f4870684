/** Slow f64 twin of one SGD step; changes p and m in place. */
export function sgdUpdate(
  p: Float64Array,
  m: Float64Array,
  grads: Float64Array,
  { learningRate, weightDecay, momentum, nesterov, clip, rates }: {
    learningRate: number;
    weightDecay: number;
    momentum: number;
    nesterov: boolean;
    clip: number;
    /** What the learning rate of each value is multiplied by; default 1. */
    rates?: ArrayLike<number>;
  },
): void {
  for (let i = 0; i < p.length; i++) {
    const g = clip * grads[i]! + weightDecay * p[i]!;
    m[i] = momentum * m[i]! + g;
    p[i] = p[i]! - learningRate * (rates?.[i] ?? 1) * (nesterov ? g + momentum * m[i]! : m[i]!);
  }
}
