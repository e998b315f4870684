/**
 * What evaluations decide: which was the best, and whether to stop since none gets better.
 *
 * @see transformers 5.23, `Trainer._determine_best_metric` and `EarlyStoppingCallback`.
 * @module
 */
import type { BestEvaluation, JudgementState } from "../checkpoint/resume_record.ts";
import type { TrainingConfig } from "../config.ts";

/** What an evaluation found. */
export interface Evaluation {
  readonly step: number;
  readonly loss: number;
  /** Token accuracy: share of labelled tokens that got the largest logit, 0..1. */
  readonly accuracy: number;
}

/** The options that decide. */
export type JudgementOptions = Pick<
  TrainingConfig,
  "metricForBestModel" | "earlyStoppingPatience" | "earlyStoppingThreshold"
>;

export class Judgement {
  readonly #options: JudgementOptions;
  #best: BestEvaluation | null = null;
  #worse = 0;

  constructor(options: JudgementOptions) {
    this.#options = options;
  }

  /** The best evaluation; the first of those that are equal. */
  get best(): BestEvaluation | null {
    return this.#best;
  }

  /** Whether `early_stopping_patience` evaluations in a row were not better. */
  get stops(): boolean {
    const { earlyStoppingPatience: patience } = this.#options;
    return patience > 0 && this.#worse >= patience;
  }

  /** Why it stops, for people. */
  get reason(): string {
    const { metricForBestModel: metric, earlyStoppingThreshold: threshold } = this.#options;
    const by = threshold > 0 ? ` by more than ${threshold}` : "";
    return `stopping early: ${metric} has not improved${by} in ${this.#worse} evaluations, ` +
      `the best was ${this.#best!.metric.toPrecision(4)} after step ${this.#best!.step}`;
  }

  /** The metric of `metric_for_best_model`. */
  metricOf({ loss, accuracy }: Evaluation): number {
    return this.#options.metricForBestModel === "eval_loss" ? loss : accuracy;
  }

  /** Takes an evaluation after a step of training; true if it is the best so far. */
  add(evaluation: Evaluation): boolean {
    const { metricForBestModel, earlyStoppingThreshold: threshold } = this.#options;
    const metric = this.metricOf(evaluation);
    const before = this.#best;
    const gain = before === null
      ? Infinity
      : metricForBestModel === "eval_loss"
      ? before.metric - metric
      : metric - before.metric;
    this.#worse = gain > threshold ? 0 : this.#worse + 1;
    if (gain <= 0) return false;
    this.#best = { step: evaluation.step, metric, eval_loss: evaluation.loss };
    return true;
  }

  get state(): JudgementState {
    return { best: this.#best, worse: this.#worse };
  }

  /** Goes on from a checkpoint's state. */
  restore({ best, worse }: JudgementState): void {
    this.#best = best;
    this.#worse = worse;
  }
}
