/**
 * Learning rates of a run, whether they follow from the step or from evaluations.
 *
 * @module
 */
import type { TrainingConfig } from "../config.ts";
import { MetricSchedule, type MetricScheduleState } from "../optim/metric_schedule.ts";
import { learningRateAt, type Schedule } from "../optim/schedule.ts";

export class LearningRate {
  readonly #schedule: Schedule;
  readonly #byMetric: MetricSchedule | null;

  /** `totalSteps` is the length of the whole run. */
  constructor(config: TrainingConfig, totalSteps: number) {
    const { lrSchedulerType: type, lrSchedulerKwargs: kwargs, learningRate: base, warmupSteps } = config;
    this.#schedule = { type, kwargs, baseLearningRate: base, warmupSteps, totalSteps };
    this.#byMetric = type === "greedy" || type === "reduce_lr_on_plateau"
      ? new MetricSchedule(type, base, kwargs)
      : null;
  }

  /** Learning rate of a step, from 1. Where it follows from evaluations it is that of the next one. */
  of(step: number): number {
    return this.#byMetric?.learningRate ?? learningRateAt(step - 1, this.#schedule);
  }

  /** Takes the metric of an evaluation. */
  observe(metric: number): void {
    this.#byMetric?.observe(metric);
  }

  /** What a checkpoint keeps; null where the step is enough. */
  get state(): MetricScheduleState | null {
    return this.#byMetric?.state ?? null;
  }

  /** Goes on from a checkpoint's state. */
  restore(state: unknown): void {
    if (state !== null) this.#byMetric?.restore(state as MetricScheduleState);
  }
}
