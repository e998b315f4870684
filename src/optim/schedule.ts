/**
 * Learning rate schedules that follow from the step alone, as transformers computes them. Those that follow from
 * evaluations are in `metric_schedule.ts`.
 *
 * @see transformers 5.23, `optimization.py` and `TrainingArguments.get_warmup_steps`.
 * @module
 */
import type { ScheduleKwargs, ScheduleType } from "../config/scheduler_kwargs.ts";

export type { ScheduleType } from "../config/scheduler_kwargs.ts";

/** What a schedule needs to know of a run. */
export interface Schedule {
  readonly type: ScheduleType;
  /** Highest learning rate, reached at the end of warmup. */
  readonly baseLearningRate: number;
  /** Steps of warmup; below 1 it is a share of `totalSteps`. */
  readonly warmupSteps: number;
  /** Optimizer steps of the whole run. */
  readonly totalSteps: number;
  /** Options of the type, as `lr_scheduler_kwargs` names them; default none. */
  readonly kwargs?: ScheduleKwargs;
}

/** Whole steps of warmup: `warmupSteps` itself, or ceil(warmupSteps·totalSteps) when it is below 1. */
export function warmupStepCount({ warmupSteps, totalSteps }: Schedule): number {
  return warmupSteps >= 1 ? Math.trunc(warmupSteps) : Math.ceil(totalSteps * warmupSteps);
}

/**
 * Learning rate of a step, base·f(t). With W warmup steps, T steps in all, t the step and p = (t − W)/(T − W):
 *
 *     t < W                  t/W, but for constant (no warmup), cosine_warmup_with_min_lr and warmup_stable_decay
 *     linear                 (T − t)/(T − W)
 *     cosine                 (1 + cos(2π·num_cycles·p))/2                           num_cycles ½
 *     cosine_with_restarts   (1 + cos(π·(num_cycles·p mod 1)))/2, 0 from p = 1 on   num_cycles 1
 *     polynomial             ((base − lr_end)·(1 − p)^power + lr_end)/base          lr_end 1e-7, power 1
 *     inverse_sqrt           √(s/(t − W + s))                                       s = timescale: W, or 10,000
 *     cosine_with_min_lr     m + (1 − m)·cosine                                     m = min_lr_rate or min_lr/base
 *     constant…              1
 *
 * The first step of a warmup therefore has learning rate 0. For a type that follows evaluations this is its start, base.
 *
 * @param step Counts from 0.
 */
export function learningRateAt(step: number, schedule: Schedule): number {
  return schedule.baseLearningRate * factorAt(step, schedule);
}

function factorAt(step: number, schedule: Schedule): number {
  const { type } = schedule;
  if (type === "constant" || type === "reduce_lr_on_plateau" || type === "greedy") return 1;
  if (type === "warmup_stable_decay") return warmupStableDecay(step, schedule);
  if (type === "cosine_warmup_with_min_lr") return cosineWarmupWithMinimum(step, schedule);
  const warmup = warmupStepCount(schedule);
  if (step < warmup) return step / warmup;
  const { totalSteps } = schedule;
  const progress = (step - warmup) / Math.max(1, totalSteps - warmup);
  switch (type) {
    case "constant_with_warmup":
      return 1;
    case "linear":
      return Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmup));
    case "cosine":
      return cosine(progress, option(schedule, "num_cycles", 0.5));
    case "cosine_with_restarts": {
      const cycles = option(schedule, "num_cycles", 1);
      return progress >= 1 ? 0 : cosine((cycles * progress) % 1, 0.5);
    }
    case "cosine_with_min_lr":
      return aboveMinimum(cosine(progress, option(schedule, "num_cycles", 0.5)), minimumShare(schedule));
    case "polynomial":
      return polynomial(step > totalSteps ? 1 : progress, schedule);
    case "inverse_sqrt": {
      const timescale = option(schedule, "timescale", warmup || 10_000);
      return 1 / Math.sqrt((step + timescale - warmup) / timescale);
    }
  }
}

/** Half a wave for half a cycle: from 1 at progress 0 to 0 at progress 1. */
function cosine(progress: number, cycles: number): number {
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * progress)));
}

function aboveMinimum(factor: number, least: number): number {
  return Math.max(0, factor * (1 - least) + least);
}

function polynomial(progress: number, schedule: Schedule): number {
  const { baseLearningRate: base } = schedule;
  const end = option(schedule, "lr_end", 1e-7), power = option(schedule, "power", 1);
  return ((base - end) * (1 - progress) ** power + end) / base;
}

/** Warms up from one step on, and reaches the minimum with the last step rather than after it. */
function cosineWarmupWithMinimum(step: number, schedule: Schedule): number {
  const warmup = warmupStepCount(schedule);
  if (step < warmup) {
    const start = schedule.kwargs?.warmup_lr_rate;
    if (start === undefined) return (step + 1) / warmup;
    return Number(start) + (1 - Number(start)) * step / Math.max(1, warmup - 1);
  }
  const progress = (step - warmup + 1) / Math.max(1, schedule.totalSteps - warmup);
  return aboveMinimum(cosine(progress, option(schedule, "num_cycles", 0.5)), minimumShare(schedule));
}

/** Up in W steps, flat for `num_stable_steps` (all that are left), and down in `num_decay_steps` to `min_lr_ratio`. */
function warmupStableDecay(step: number, schedule: Schedule): number {
  const warmup = warmupStepCount(schedule);
  const least = option(schedule, "min_lr_ratio", 0), decay = option(schedule, "num_decay_steps", 0);
  const stable = option(schedule, "num_stable_steps", schedule.totalSteps - warmup - decay);
  const { warmup_type: rise = "linear", decay_type: fall = "cosine" } = schedule.kwargs ?? {};
  if (step < warmup) return aboveMinimum(risen(String(rise), step / warmup), least);
  if (step < warmup + stable) return 1;
  if (step >= warmup + stable + decay) return least;
  const progress = (step - warmup - stable) / decay;
  return aboveMinimum(fallen(String(fall), progress, option(schedule, "num_cycles", 0.5)), least);
}

function risen(curve: string, share: number): number {
  if (curve === "linear") return share;
  return curve === "cosine" ? 0.5 * (1 - Math.cos(Math.PI * share)) : 1 - Math.sqrt(1 - share);
}

function fallen(curve: string, share: number, cycles: number): number {
  if (curve === "linear") return 1 - share;
  return curve === "cosine" ? 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * share)) : 1 - Math.sqrt(share);
}

function minimumShare({ kwargs = {}, baseLearningRate }: Schedule): number {
  if (!("min_lr" in kwargs)) return Number(kwargs.min_lr_rate);
  return baseLearningRate === 0 ? 0 : Number(kwargs.min_lr) / baseLearningRate;
}

function option({ kwargs = {} }: Schedule, name: string, otherwise: number): number {
  return Number(kwargs[name] ?? otherwise);
}
