/**
 * The optimizer that a run's options name.
 *
 * @module
 */
import type { TrainingConfig } from "../config.ts";
import type { ProgramResources } from "../gpu/program.ts";
import type { MomentCount, ParameterPool } from "../nn/parameter_pool.ts";
import { AdamW } from "./adamw.ts";
import type { RateOf, UpdateSinks } from "./pool_update.ts";
import { Sgd } from "./sgd.ts";

/** Clips the pooled gradients and updates the parameters with them. */
export interface Optimizer {
  /** Submits one update with this learning rate. `step` counts from 1. Where a value is not finite nothing changes. */
  step(step: number, learningRate: number): void;
}

/** Moments that the optimizer keeps of each parameter: two for AdamW, one, the momentum, for SGD. */
export function momentCount({ optim }: Pick<TrainingConfig, "optim">): MomentCount {
  return optim === "sgd" ? 1 : 2;
}

/** Starts with moments of zero. The pool must be allocated, with at least {@link momentCount} moments. */
export function createOptimizer(
  resources: ProgramResources,
  pool: ParameterPool,
  sinks: UpdateSinks,
  config: TrainingConfig,
): Promise<Optimizer> {
  const { weightDecay, maxGradNorm, loraplusLrRatio } = config;
  const rateOf = loraPlusRate(loraplusLrRatio);
  if (config.optim === "sgd") {
    const { sgdMomentum: momentum, sgdNesterov: nesterov } = config;
    return Sgd.create(resources, pool, sinks, { weightDecay, maxGradNorm, momentum, nesterov, rateOf });
  }
  const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: epsilon } = config;
  return AdamW.create(resources, pool, sinks, { weightDecay, maxGradNorm, beta1, beta2, epsilon, rateOf });
}

/**
 * LoRA+: B, and vectors, learn `ratio` times as fast as A.
 *
 * @see Hayou et al. 2024, arXiv:2402.12354; the groups are PEFT's.
 */
export function loraPlusRate(ratio: number): RateOf {
  return ({ name, value }) => name.includes(".lora_B.") || value.shape.length === 1 ? ratio : 1;
}
