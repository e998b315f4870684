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
import { learningRateAt, type Schedule } from "./optim/schedule.ts";
import { StepMeter, type StepTokens } from "./trainer/step_meter.ts";

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
    const { loggingSteps, evalSteps } = this.#config;
    const sampler = samplerOf(this.#data.train.length, this.#config);
    const { totalSteps } = countSteps(this.#data.train.length, this.#config);
    const schedule = this.#schedule(totalSteps);
    const optimizer = await this.#optimizer();
    const meter = new StepMeter(this.#model, totalSteps, this.#now);
    const evaluates = this.#data.eval.length > 0;
    if (evaluates) yield await this.#evaluated(0, 0, signal);
    meter.start();
    for (let step = 1; step <= totalSteps; step++) {
      const learningRate = learningRateAt(step - 1, schedule);
      const epoch = sampler.epochAfter(step);
      meter.add(await this.#accumulate(sampler.microBatches(step - 1), signal));
      optimizer.step(step, learningRate);
      if (step % loggingSteps === 0 || step === totalSteps) {
        yield await meter.report({ step, epoch, learningRate });
        meter.start();
      }
      if (evaluates && (step === totalSteps || (evalSteps > 0 && step % evalSteps === 0))) {
        await meter.pause(step, learningRate);
        yield await this.#evaluated(step, epoch, signal);
        meter.resume();
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

  /** Gradients of one optimizer step, each trained token of all its micro-batches weighing the same. */
  async #accumulate(microBatches: readonly (readonly number[])[], signal: AbortSignal): Promise<StepTokens> {
    const batches = microBatches.map((indices) =>
      this.#collate(indices.map((index) => this.#data.train[index]!), this.#config.batchSize)
    );
    const sum = (count: (batch: Batch) => number) =>
      batches.reduce((total, batch) => total + count(batch), 0);
    const trainedTokens = sum((batch) => batch.trainedTokens);
    this.#model.clearGradients();
    for (const batch of batches) {
      signal.throwIfAborted();
      await this.#model.accumulate(batch, 1 / trainedTokens);
    }
    return { tokens: sum((batch) => batch.tokens), trainedTokens };
  }

  #optimizer(): Promise<AdamW> {
    const { resources, pool, sinks } = this.#model;
    const { weightDecay, maxGradNorm, adamBeta1, adamBeta2, adamEpsilon } = this.#config;
    const numbers = { weightDecay, maxGradNorm, beta1: adamBeta1, beta2: adamBeta2, epsilon: adamEpsilon };
    return AdamW.create(resources, pool, sinks, numbers);
  }

  #schedule(totalSteps: number): Schedule {
    const { lrSchedulerType: type, learningRate: baseLearningRate, warmupSteps } = this.#config;
    return { type, baseLearningRate, warmupSteps, totalSteps };
  }

  #collate(examples: readonly TokenizedExample[], rows: number): Batch {
    const longest = examples.reduce((most, { inputIds }) => Math.max(most, inputIds.length), 1);
    return collate(examples, { rows, length: bucketLength(longest), padId: this.#data.padId });
  }
}

function evaluationDiverged(step: number): DivergedError {
  const cure = step === 0
    ? "the base model or the adapter to continue from is damaged, or the data does not suit it"
    : "lower learning_rate, or set max_grad_norm";
  return new DivergedError(`The evaluation loss after step ${step} is not a finite number: ${cure}`, step);
}
