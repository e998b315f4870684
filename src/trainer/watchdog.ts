/**
 * Ends a run whose loss has exploded, though every number is finite still.
 *
 * @module
 */
import type { WatchdogState } from "../checkpoint/resume_record.ts";
import { DivergedError } from "../errors.ts";
import type { StepEvent } from "./step_meter.ts";

/**
 * Beyond which a loss has exploded, where the user has not said: twice what guessing evenly among all tokens has, and
 * twice the least loss that was reported, since a model may begin with more.
 */
function defaultThreshold(vocabSize: number, least: number | null): number {
  return 2 * Math.max(Math.log(vocabSize), least ?? Infinity);
}

/** What the watchdog is told. */
export interface WatchdogOptions {
  /** Nats; null leaves it to the watchdog. */
  readonly threshold: number | null;
  /** Reports in a row beyond the threshold that fail the run; 0 lets it go on. */
  readonly patience: number;
  readonly vocabSize: number;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  #alarms = 0;
  #least: number | null = null;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Whether the last report was beyond the threshold: what is trained meanwhile is not worth a checkpoint. */
  get alarmed(): boolean {
    return this.#alarms > 0;
  }

  /** What a checkpoint keeps. */
  get state(): WatchdogState {
    return { alarms: this.#alarms, least: this.#least };
  }

  /** Goes on from a checkpoint's state. */
  restore({ alarms, least }: WatchdogState): void {
    this.#alarms = alarms;
    this.#least = least;
  }

  /** Takes a report. @throws {DivergedError} At the last beyond the threshold that is borne. */
  watch({ step, loss, learningRate }: Pick<StepEvent, "step" | "loss" | "learningRate">): void {
    const { patience, vocabSize } = this.#options;
    if (patience === 0) return;
    const threshold = this.#options.threshold ?? defaultThreshold(vocabSize, this.#least);
    this.#least = Math.min(loss, this.#least ?? Infinity);
    this.#alarms = loss > threshold ? this.#alarms + 1 : 0;
    if (this.#alarms < patience) return;
    const reports = this.#alarms === 1 ? "" : ` in ${this.#alarms} reports in a row`;
    throw new DivergedError(
      `The loss has exploded at step ${step}: ${loss.toPrecision(4)}, above ${
        threshold.toPrecision(4)
      }${reports} ` +
        `(learning rate ${learningRate.toPrecision(3)}): lower learning_rate, set max_grad_norm, or raise ` +
        "loss_watchdog_threshold if such a loss is expected",
      step,
    );
  }
}
