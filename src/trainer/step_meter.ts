/**
 * What a run tells about its steps: losses averaged and time measured from one report to the next.
 *
 * @module
 */
import { DivergedError } from "../errors.ts";
import type { TrainingEvent } from "../job.ts";
import type { LoraModel } from "../models/lora_model.ts";

/** A report of the steps since the last one. */
export type StepEvent = Extract<TrainingEvent, { type: "step" }>;

/** Tokens of one optimizer step. */
export interface StepTokens {
  /** Without padding. */
  readonly tokens: number;
  /** Labels that the loss counts. */
  readonly trainedTokens: number;
}

/** Sums over steps. The loss itself is summed on the GPU and read only when it is asked for. */
export class StepMeter {
  readonly #model: LoraModel;
  readonly #totalSteps: number;
  readonly #now: () => number;
  #since = 0;
  #pausedAt = 0;
  #steps = 0;
  #tokens = 0;
  #trainedTokens = 0;
  #summedLoss = 0;
  #tokensBefore = 0;
  #secondsPerStep = 0;

  /** `now` gives milliseconds. */
  constructor(model: LoraModel, totalSteps: number, now: () => number) {
    this.#model = model;
    this.#totalSteps = totalSteps;
    this.#now = now;
  }

  /** Begins anew: after a report, and before the first step. */
  start(): void {
    this.#model.clearTotals();
    this.#steps =
      this.#tokens =
      this.#trainedTokens =
      this.#summedLoss =
        0;
    this.#since = this.#now();
  }

  /** Counts a step that was submitted. */
  add({ tokens, trainedTokens }: StepTokens): void {
    this.#steps++;
    this.#tokens += tokens;
    this.#trainedTokens += trainedTokens;
  }

  /**
   * Waits for the GPU and reports the steps since the start.
   *
   * @param step The last of them.
   * @throws {DivergedError} If a loss or gradient of one of them is not finite.
   */
  async report(
    { step, epoch, learningRate }: Pick<StepEvent, "step" | "epoch" | "learningRate">,
  ): Promise<StepEvent> {
    const gradNorm = await this.#read(step, learningRate);
    const seconds = (this.#now() - this.#since) / 1000;
    this.#tokensBefore += this.#tokens;
    this.#noteSpeed(step, seconds / this.#steps);
    return {
      type: "step",
      step,
      totalSteps: this.#totalSteps,
      epoch,
      loss: this.#summedLoss / this.#trainedTokens,
      learningRate,
      gradNorm,
      trainedTokens: this.#trainedTokens,
      tokens: this.#tokensBefore,
      tokensPerSecond: this.#tokens / seconds,
      etaSeconds: this.#secondsPerStep * (this.#totalSteps - step),
    };
  }

  /** Lets something else use the GPU's sum, an evaluation say, without its time. @throws As {@link report}. */
  async pause(step: number, learningRate: number): Promise<void> {
    if (this.#steps > 0) await this.#read(step, learningRate);
    this.#pausedAt = this.#now();
  }

  resume(): void {
    this.#model.clearTotals();
    this.#since += this.#now() - this.#pausedAt;
  }

  async #read(step: number, learningRate: number): Promise<number> {
    const { summedLoss, gradNorm, finite } = await this.#model.totals();
    if (!finite) throw diverged(step, this.#steps, learningRate);
    this.#summedLoss += summedLoss;
    return gradNorm;
  }

  /** The first steps hold the compilation of kernels, so those after them take their place before any is averaged. */
  #noteSpeed(step: number, secondsPerStep: number): void {
    const early = step === this.#steps || step <= 3;
    this.#secondsPerStep = early ? secondsPerStep : 0.7 * this.#secondsPerStep + 0.3 * secondsPerStep;
  }
}

function diverged(step: number, steps: number, learningRate: number): DivergedError {
  const where = steps === 1 ? `at step ${step}` : `between steps ${step - steps + 1} and ${step}`;
  return new DivergedError(
    `The loss or a gradient is not a finite number ${where} (learning rate ${
      learningRate.toPrecision(3)
    }): ` +
      "lower learning_rate, set max_grad_norm, or look for damaged rows in the training data",
    step,
  );
}
