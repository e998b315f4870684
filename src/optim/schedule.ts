/**
 * Learning rate schedules, as transformers computes them.
 *
 * @see transformers 5.23, `optimization.py` and `TrainingArguments.get_warmup_steps`.
 * @module
 */

/** Names as transformers' `lr_scheduler_type` spells them. */
export type ScheduleType = "linear" | "cosine" | "constant" | "constant_with_warmup";

/** What a schedule needs to know of a run. */
export interface Schedule {
  readonly type: ScheduleType;
  /** Highest learning rate, reached at the end of warmup. */
  readonly baseLearningRate: number;
  /** Steps of warmup; below 1 it is a share of `totalSteps`. */
  readonly warmupSteps: number;
  /** Optimizer steps of the whole run. */
  readonly totalSteps: number;
}

/** Whole steps of warmup: `warmupSteps` itself, or ceil(warmupSteps·totalSteps) when it is below 1. */
export function warmupStepCount({ warmupSteps, totalSteps }: Schedule): number {
  return warmupSteps >= 1 ? Math.trunc(warmupSteps) : Math.ceil(totalSteps * warmupSteps);
}

/**
 * Learning rate of a step. With W warmup steps, T steps in all, and t the step:
 *
 *     t < W      base·t/W                        not for constant, which has no warmup
 *     linear     base·(T - t)/(T - W)
 *     cosine     base·(1 + cos(π·(t - W)/(T - W)))/2
 *     constant   base                            with or without warmup
 *
 * The first step of a warmup therefore has learning rate 0.
 *
 * @param step Counts from 0.
 */
export function learningRateAt(step: number, schedule: Schedule): number {
  const { type, baseLearningRate, totalSteps } = schedule;
  if (type === "constant") return baseLearningRate;
  const warmup = warmupStepCount(schedule);
  if (step < warmup) return baseLearningRate * (step / warmup);
  if (type === "constant_with_warmup") return baseLearningRate;
  const decaySteps = Math.max(1, totalSteps - warmup);
  if (type === "linear") return baseLearningRate * Math.max(0, (totalSteps - step) / decaySteps);
  return baseLearningRate * 0.5 * (1 + Math.cos(Math.PI * (step - warmup) / decaySteps));
}
