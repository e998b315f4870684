/**
 * The training loop of supervised fine-tuning: batches, schedule, clipping, evaluation, and what it tells about them.
 *
 * @module
 */
import type { TrainingConfig } from "./config.ts";
import { type Batch, bucketLength, collate } from "./data/collate.ts";
import { EpochSampler } from "./data/epoch_sampler.ts";
import type { TokenizedExample } from "./data/example.ts";
import { DivergedError } from "./errors.ts";
import type { TrainingEvent } from "./job.ts";
import type { BatchLimits, LoraModel } from "./models/lora_model.ts";
import { AdamW } from "./optim/adamw.ts";
import { learningRateAt } from "./optim/schedule.ts";

/** Rows to train on and to measure with. */
export interface TrainerData {
  readonly train: readonly TokenizedExample[];
  readonly eval: readonly TokenizedExample[];
  readonly padId: number;
}

/** Mean loss over labelled tokens. */
export interface EvalResult {
  readonly loss: number;
  readonly tokens: number;
}

/** How long a run is. */
export interface StepCount {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** Epochs at the end, fractional. */
  readonly totalEpochs: number;
}

/** Steps per epoch and in all, and the epochs that they make, as transformers counts them. */
export function countSteps(examples: number, config: TrainingConfig): StepCount {
  const sampler = samplerOf(examples, config);
  const totalSteps = sampler.totalSteps(config.numTrainEpochs, config.maxSteps);
  return { stepsPerEpoch: sampler.stepsPerEpoch, totalSteps, totalEpochs: sampler.epochAfter(totalSteps) };
}

/** The largest batch that these rows and settings give. */
export function batchLimits(data: TrainerData, { batchSize, evalBatchSize }: TrainingConfig): BatchLimits {
  const longest = [...data.train, ...data.eval].reduce(
    (most, { inputIds }) => Math.max(most, inputIds.length),
    1,
  );
  return { rows: Math.max(batchSize, evalBatchSize), trainRows: batchSize, length: bucketLength(longest) };
}

function samplerOf(
  examples: number,
  { batchSize, gradientAccumulationSteps, seed }: TrainingConfig,
): EpochSampler {
  return new EpochSampler({ examples, batchSize, gradientAccumulationSteps, seed });
}

/** What happened since the last step event. */
interface Window {
  since: number;
  steps: number;
  tokens: number;
  trainedTokens: number;
}

export class ModelTrainer {
  readonly #model: LoraModel;
  readonly #data: TrainerData;
  readonly #config: TrainingConfig;
  readonly #now: () => number;

  /** The model must be allocated, loaded and initialised. `now` gives milliseconds. */
  constructor(
    model: LoraModel,
    data: TrainerData,
    config: TrainingConfig,
    now: () => number = () => performance.now(),
  ) {
    this.#model = model;
    this.#data = data;
    this.#config = config;
    this.#now = now;
  }

  /**
   * Trains to the end: an evaluation before the first step, one every `evalSteps` and one at the end, a step event
   * every `loggingSteps`.
   *
   * @throws {DivergedError} If a loss or gradient is not finite. Parameters stay those of the last good step.
   * @throws The signal's reason, between micro-batches, when it is aborted.
   */
  async *train(signal: AbortSignal): AsyncGenerator<TrainingEvent> {
    const config = this.#config;
    const { beta1, beta2, epsilon } = {
      beta1: config.adamBeta1,
      beta2: config.adamBeta2,
      epsilon: config.adamEpsilon,
    };
    const optimizer = await AdamW.create(this.#model.resources, this.#model.pool, this.#model.sinks, {
      weightDecay: config.weightDecay,
      maxGradNorm: config.maxGradNorm,
      beta1,
      beta2,
      epsilon,
    });
    const sampler = samplerOf(this.#data.train.length, config);
    const totalSteps = sampler.totalSteps(config.numTrainEpochs, config.maxSteps);
    const schedule = {
      type: config.lrSchedulerType,
      baseLearningRate: config.learningRate,
      warmupSteps: config.warmupSteps,
      totalSteps,
    };
    if (this.#data.eval.length > 0) yield await this.#evaluated(0, 0, signal);

    this.#model.clearTotals();
    let tokens = 0;
    let window: Window = { since: this.#now(), steps: 0, tokens: 0, trainedTokens: 0 };
    let etaRate = 0;
    for (let done = 1; done <= totalSteps; done++) {
      const learningRate = learningRateAt(done - 1, schedule);
      const batches = this.#batches(sampler.microBatches(done - 1));
      const trainedTokens = batches.reduce((sum, batch) => sum + batch.trainedTokens, 0);
      this.#model.clearGradients();
      for (const batch of batches) {
        signal.throwIfAborted();
        await this.#model.accumulate(batch, 1 / trainedTokens);
        window.tokens += batch.tokens;
      }
      optimizer.step(done, learningRate);
      window.steps++;
      window.trainedTokens += trainedTokens;

      const epoch = sampler.epochAfter(done);
      if (done % config.loggingSteps === 0 || done === totalSteps) {
        const { summedLoss, gradNorm, finite } = await this.#model.totals();
        if (!finite) throw diverged(done, window.steps, learningRate);
        const seconds = (this.#now() - window.since) / 1000;
        tokens += window.tokens;
        // the first window holds compilation, so later ones replace it at once and then average
        etaRate = done === window.steps
          ? seconds / window.steps
          : blend(etaRate, seconds / window.steps, done);
        yield {
          type: "step",
          step: done,
          totalSteps,
          epoch,
          loss: summedLoss / window.trainedTokens,
          learningRate,
          gradNorm,
          trainedTokens: window.trainedTokens,
          tokens,
          tokensPerSecond: window.tokens / seconds,
          etaSeconds: etaRate * (totalSteps - done),
        };
        this.#model.clearTotals();
        window = { since: this.#now(), steps: 0, tokens: 0, trainedTokens: 0 };
      }
      const evaluateNow = done === totalSteps || (config.evalSteps > 0 && done % config.evalSteps === 0);
      if (evaluateNow && this.#data.eval.length > 0) {
        const before = this.#now();
        yield await this.#evaluated(done, epoch, signal);
        this.#model.clearTotals();
        window.since += this.#now() - before;
      }
    }
  }

  /**
   * Summed loss over all labelled tokens divided by their number: the same whatever the batch size.
   *
   * @param step Optimizer steps done so far, for the error.
   * @throws {DivergedError} If a logit or the loss is not finite.
   */
  async evaluate(
    examples: readonly TokenizedExample[],
    signal?: AbortSignal,
    step = 0,
  ): Promise<EvalResult> {
    // rows of like length together, so that little is padding
    const sorted = [...examples].sort((a, b) => a.inputIds.length - b.inputIds.length);
    const rows = this.#config.evalBatchSize;
    this.#model.clearTotals();
    let tokens = 0;
    for (let i = 0; i < sorted.length; i += rows) {
      signal?.throwIfAborted();
      const batch = this.#collate(sorted.slice(i, i + rows), rows);
      await this.#model.evaluate(batch);
      tokens += batch.trainedTokens;
    }
    const { summedLoss, finite } = await this.#model.totals();
    if (!finite) throw evaluationDiverged(step);
    return { loss: summedLoss / tokens, tokens };
  }

  async #evaluated(step: number, epoch: number, signal: AbortSignal): Promise<TrainingEvent> {
    const { loss, tokens } = await this.evaluate(this.#data.eval, signal, step);
    return { type: "evaluated", step, epoch, evalLoss: loss, evalTokens: tokens };
  }

  #batches(microBatches: readonly (readonly number[])[]): Batch[] {
    return microBatches.map((indices) =>
      this.#collate(indices.map((index) => this.#data.train[index]!), this.#config.batchSize)
    );
  }

  #collate(examples: readonly TokenizedExample[], rows: number): Batch {
    const longest = examples.reduce((most, { inputIds }) => Math.max(most, inputIds.length), 1);
    return collate(examples, { rows, length: bucketLength(longest), padId: this.#data.padId });
  }
}

/** Seconds a step for the ETA: what the first steps took is forgotten soon. */
function blend(old: number, latest: number, done: number): number {
  return done <= 3 ? latest : 0.7 * old + 0.3 * latest;
}

function evaluationDiverged(step: number): DivergedError {
  const cure = step === 0
    ? "the base model or the adapter to continue from is damaged, or the data does not suit it"
    : "lower learning_rate, or set max_grad_norm";
  return new DivergedError(`The evaluation loss after step ${step} is not a finite number: ${cure}`, step);
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
