/**
 * What a run tells about its steps: losses averaged and time measured from one report to the next.
 *
 * @module
 */
import type { MeterState } from "../checkpoint/resume_record.ts";
import { DivergedError } from "../errors.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { TrainingEvent } from "../job.ts";
import type { TrainableModel } from "../models/trainable_model.ts";

/** A report of the steps since the last one. */
export type StepEvent = Extract<TrainingEvent, { type: "step" }>;

/** Tokens of one optimizer step. */
export interface StepTokens {
  /** Without padding. */
  readonly tokens: number;
  /** Labels that the loss counts. */
  readonly trainedTokens: number;
}

/** The GPU's sums as a mark keeps them: totals (16 bytes), then the flag of a value that is not finite (4). */
const MARK_BYTES = 20;
const FLAG_OFFSET = 16;

/**
 * Sums over steps. The loss itself is summed on the GPU and read only when it is asked for. A mark on the GPU keeps the
 * sum as it stood after the last whole step, since a step that is broken off has added to it.
 */
export class StepMeter {
  readonly #model: TrainableModel;
  readonly #totalSteps: number;
  readonly #now: () => number;
  readonly #mark: GPUBuffer;
  #firstStep = 1;
  #since = 0;
  #pausedAt = 0;
  #steps = 0;
  #tokens = 0;
  #trainedTokens = 0;
  #summedLoss = 0;
  #correct = 0;
  #tokensBefore = 0;
  #secondsPerStep = 0;

  /** `now` gives milliseconds. */
  constructor(model: TrainableModel, totalSteps: number, now: () => number) {
    this.#model = model;
    this.#totalSteps = totalSteps;
    this.#now = now;
    this.#mark = model.resources.gpu.device.createBuffer({
      label: "totals after the last step",
      size: MARK_BYTES,
      usage: BufferUsage.COPY_SRC | BufferUsage.COPY_DST,
    });
  }

  /** Begins anew: after a report, and before the first step. */
  start(): void {
    this.#model.clearTotals();
    this.#steps =
      this.#tokens =
      this.#trainedTokens =
      this.#summedLoss =
      this.#correct =
        0;
    this.#since = this.#now();
    this.#setMark();
  }

  /** Counts a step that was submitted, its update included. */
  add({ tokens, trainedTokens }: StepTokens): void {
    this.#steps++;
    this.#tokens += tokens;
    this.#trainedTokens += trainedTokens;
    this.#setMark();
  }

  /**
   * The sums after the last whole step, which may be in the middle of one that was broken off.
   *
   * @throws {DivergedError} If a loss or gradient of the steps since the last report is not finite.
   */
  async state(step: number, learningRate: number): Promise<MeterState> {
    const mark = await this.#model.resources.gpu.read(this.#mark, 0, MARK_BYTES);
    const totals = new Float32Array(mark, 0, FLAG_OFFSET / 4);
    const summedOnGpu = totals[0]!, correctOnGpu = totals[3]!;
    if (new Uint32Array(mark, FLAG_OFFSET)[0] !== 0 || !Number.isFinite(summedOnGpu)) {
      throw diverged(step, this.#steps, learningRate);
    }
    return {
      steps: this.#steps,
      tokens: this.#tokens,
      trained_tokens: this.#trainedTokens,
      summed_loss: this.#summedLoss,
      summed_on_gpu: summedOnGpu,
      correct: this.#correct + correctOnGpu,
      seconds: (this.#now() - this.#since) / 1000,
      tokens_before: this.#tokensBefore,
    };
  }

  /** Goes on from sums of an earlier run that did `step` steps. */
  restore(state: MeterState, step: number): void {
    this.#firstStep = step + 1;
    this.#steps = state.steps;
    this.#tokens = state.tokens;
    this.#trainedTokens = state.trained_tokens;
    this.#summedLoss = state.summed_loss;
    this.#correct = state.correct;
    this.#tokensBefore = state.tokens_before;
    this.#since = this.#now() - 1000 * state.seconds;
    const { resources, sinks } = this.#model;
    this.#model.clearTotals();
    resources.gpu.device.queue.writeBuffer(sinks.totals.buffer!, 0, Float32Array.of(state.summed_on_gpu));
    this.#setMark();
  }

  /** Whether steps were done since the last report. */
  get holdsSteps(): boolean {
    return this.#steps > 0;
  }

  destroy(): void {
    this.#mark.destroy();
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
      tokenAccuracy: this.#correct / this.#trainedTokens,
      trainedTokens: this.#trainedTokens,
      tokens: this.#tokensBefore,
      tokensPerSecond: this.#tokens / seconds,
      etaSeconds: this.#secondsPerStep * (this.#totalSteps - step),
    };
  }

  /** Lets something else use the GPU's sum, an evaluation say, without its time. @throws As {@link report}. */
  async pause(step: number, learningRate: number): Promise<void> {
    if (this.#steps > 0) await this.#read(step, learningRate);
    this.#model.clearTotals();
    this.#setMark();
    this.#pausedAt = this.#now();
  }

  resume(): void {
    this.#model.clearTotals();
    this.#since += this.#now() - this.#pausedAt;
  }

  #setMark(): void {
    const { resources: { gpu: { device } }, sinks: { totals, flags } } = this.#model;
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(totals.buffer!, 0, this.#mark, 0, totals.bytes);
    encoder.copyBufferToBuffer(flags.buffer!, 0, this.#mark, FLAG_OFFSET, flags.bytes);
    device.queue.submit([encoder.finish()]);
  }

  async #read(step: number, learningRate: number): Promise<number> {
    const { summedLoss, gradNorm, correctTokens, finite } = await this.#model.totals();
    if (!finite) throw diverged(step, this.#steps, learningRate);
    this.#summedLoss += summedLoss;
    this.#correct += correctTokens;
    return gradNorm;
  }

  /** The first steps hold the compilation of kernels, so those after them take their place before any is averaged. */
  #noteSpeed(step: number, secondsPerStep: number): void {
    const steps = step - this.#firstStep + 1;
    const early = steps <= Math.max(this.#steps, 3);
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
