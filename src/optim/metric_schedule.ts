/**
 * Learning rates that follow from evaluations: lowered where a metric no longer improves, and by `greedy` raised where it
 * keeps improving. Both are the same machine with other settings.
 *
 * @see torch 2.15, `ReduceLROnPlateau`; transformers 5.23, `GreedyLR` (arXiv:2512.14527).
 * @module
 */
import type { ScheduleKwargs } from "../config/scheduler_kwargs.ts";

/** Where a schedule stands between two evaluations; JSON-safe. */
export interface MetricScheduleState {
  readonly learning_rate: number;
  /** Best metric so far; null before the first. */
  readonly best: number | null;
  readonly bad: number;
  readonly good: number;
  readonly cooldown: number;
  readonly warmup: number;
  /** Reductions at the least rate until everything starts anew. */
  readonly until_reset: number;
  /** The last metrics, where they are smoothed. */
  readonly window: readonly number[];
}

/** Settings of both types; `raises` tells them apart. */
interface Settings {
  readonly raises: boolean;
  readonly mode: string;
  readonly factor: number;
  readonly patience: number;
  readonly threshold: number;
  readonly threshold_mode: string;
  readonly cooldown: number;
  readonly min_lr: number;
  readonly eps: number;
  readonly warmup: number;
  readonly max_lr: number;
  readonly smooth: boolean;
  readonly window_size: number;
  readonly reset_start: number;
}

const PLATEAU: Settings = {
  raises: false,
  mode: "min",
  factor: 0.1,
  patience: 10,
  threshold: 1e-4,
  threshold_mode: "rel",
  cooldown: 0,
  min_lr: 0,
  eps: 1e-8,
  warmup: 0,
  max_lr: Infinity,
  smooth: false,
  window_size: 1,
  reset_start: Infinity,
};

const GREEDY: Settings = {
  ...PLATEAU,
  raises: true,
  factor: 0.95,
  threshold: 1e-6,
  threshold_mode: "abs",
  min_lr: 1e-3,
  max_lr: 1,
  window_size: 50,
  reset_start: 500,
};

export class MetricSchedule {
  readonly #settings: Settings;
  readonly #base: number;
  #state: MetricScheduleState;

  /** Starts at `base`. Options have the names of transformers and torch, and their defaults. */
  constructor(type: "reduce_lr_on_plateau" | "greedy", base: number, kwargs: ScheduleKwargs = {}) {
    this.#settings = { ...(type === "greedy" ? GREEDY : PLATEAU), ...kwargs };
    this.#base = base;
    this.#state = this.#start();
  }

  /** Learning rate of the steps until the next evaluation. */
  get learningRate(): number {
    return this.#state.learning_rate;
  }

  get state(): MetricScheduleState {
    return this.#state;
  }

  /** Goes on from the state of an earlier run. */
  restore(state: MetricScheduleState): void {
    this.#state = state;
  }

  /**
   * Takes the metric of an evaluation. More than `patience` in a row that are no better than the best lower the rate
   * by `factor`, not below `min_lr`; for greedy, more than `patience` better ones in a row raise it, not above `max_lr`.
   */
  observe(metric: number): void {
    const current = this.#smoothed(metric);
    const { best, bad, good } = this.#state;
    const better = best === null || this.#isBetter(current, best);
    if (this.#settings.raises) return this.#observeGreedy(current, better);
    const next = better ? { best: current, bad: 0 } : { bad: bad + 1 };
    const cooling = this.#state.cooldown > 0;
    this.#set({ ...next, good, ...(cooling ? { bad: 0, cooldown: this.#state.cooldown - 1 } : {}) });
    this.#reduceIfDue();
  }

  /** While it waits after a change, greedy does not look at the metric at all. */
  #observeGreedy(current: number, better: boolean): void {
    const { bad, good, cooldown, warmup } = this.#state;
    if (cooldown > 0) return this.#set({ cooldown: cooldown - 1, bad: 0, good: 0 });
    if (warmup > 0) return this.#set({ warmup: warmup - 1, bad: 0, good: 0 });
    this.#set(better ? { best: current, bad: 0, good: good + 1 } : { bad: bad + 1, good: 0 });
    const { patience, factor, max_lr, eps, reset_start } = this.#settings;
    if (this.#state.good <= patience) return this.#reduceIfDue();
    const { learning_rate: before } = this.#state, raised = Math.min(before / factor, max_lr);
    this.#set({
      learning_rate: raised - before > eps ? raised : before,
      good: 0,
      warmup: this.#settings.warmup,
      until_reset: reset_start,
    });
  }

  #reduceIfDue(): void {
    const { patience, factor, min_lr, eps, cooldown } = this.#settings;
    if (this.#state.bad <= patience) return;
    const { learning_rate: before, until_reset } = this.#state, lowered = Math.max(before * factor, min_lr);
    const learning_rate = before - lowered > eps ? lowered : before;
    this.#set({ learning_rate, bad: 0, cooldown });
    if (!this.#settings.raises || learning_rate > min_lr) return;
    if (until_reset <= 1) this.#state = { ...this.#start(), cooldown };
    else this.#set({ until_reset: until_reset - 1 });
  }

  #isBetter(current: number, best: number): boolean {
    const { mode, threshold, threshold_mode } = this.#settings;
    const margin = threshold_mode === "rel" ? best * threshold : threshold;
    return mode === "min" ? current < best - margin : current > best + margin;
  }

  #smoothed(metric: number): number {
    if (!this.#settings.smooth) return metric;
    const window = [...this.#state.window, metric].slice(-this.#settings.window_size);
    this.#set({ window });
    return window.reduce((sum, value) => sum + value, 0) / window.length;
  }

  #start(): MetricScheduleState {
    // JSON has no Infinity, and plateau never starts anew
    const until_reset = Number.isFinite(this.#settings.reset_start) ? this.#settings.reset_start : 0;
    const none = { best: null, bad: 0, good: 0, cooldown: 0, warmup: 0, window: [] };
    return { learning_rate: this.#base, ...none, until_reset };
  }

  #set(changes: Partial<MetricScheduleState>): void {
    this.#state = { ...this.#state, ...changes };
  }
}
