/**
 * The training loop of supervised fine-tuning: batches, schedule, clipping, evaluation, and what it tells about them.
 *
 * @module
 */
import type { Moments } from "./checkpoint/resume.ts";
import type { TrainerState } from "./checkpoint/resume_record.ts";
import type { TrainingConfig } from "./config.ts";
import { type Batch, bucketLength, collate } from "./data/collate.ts";
import { EpochSampler } from "./data/epoch_sampler.ts";
import type { TokenizedExample } from "./data/example.ts";
import { DivergedError, ModelFormatError } from "./errors.ts";
import type { TrainingEvent } from "./job.ts";
import type { BatchLimits, TrainableModel } from "./models/trainable_model.ts";
import { createOptimizer, type Optimizer } from "./optim/optimizer.ts";
import { learningRateAt, type Schedule } from "./optim/schedule.ts";
import { Breather } from "./trainer/breather.ts";
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

/** Keeps states of a run from which it can go on. */
export interface Checkpoints {
  /** Asked after every step, its evaluation included. */
  due(step: number, isLast: boolean): boolean;
  /** Called while parameters and moments are those of the state; gives the event that tells of it. */
  save(state: TrainerState): Promise<TrainingEvent>;
}

/** What a run goes on from, and where it keeps how far it came. */
export interface TrainOptions {
  /** The parameters must be those of the state. Default: a fresh start. */
  readonly from?: { readonly state: TrainerState; readonly moments: Moments } | null;
  /** Default: none are kept. */
  readonly checkpoints?: Checkpoints | null;
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

/** Tokens of a micro-batch of middling rows, padded; what its kernels are tuned for. */
export function typicalTokens({ train }: TrainerData, { batchSize }: TrainingConfig): number {
  const lengths = train.map(({ inputIds }) => inputIds.length).sort((a, b) => a - b);
  return batchSize * bucketLength(lengths[lengths.length >> 1] ?? 1);
}

function samplerOf(
  examples: number,
  { batchSize, gradientAccumulationSteps, seed }: TrainingConfig,
): EpochSampler {
  return new EpochSampler({ examples, batchSize, gradientAccumulationSteps, seed });
}

/** A run in the making. */
interface TrainerRun {
  readonly signal: AbortSignal;
  readonly checkpoints: Checkpoints | null;
  readonly schedule: Schedule;
  readonly optimizer: Optimizer;
  readonly meter: StepMeter;
  /** Whole steps done; whether the evaluation after the last one is done, too; and the last one with a checkpoint. */
  step: number;
  evaluated: boolean;
  savedStep: number;
}

export class ModelTrainer {
  readonly #model: TrainableModel;
  readonly #data: TrainerData;
  readonly #config: TrainingConfig;
  readonly #now: () => number;
  readonly #breather = new Breather();

  /** The model must be allocated, loaded and initialised. `now` gives milliseconds. */
  constructor(
    model: TrainableModel,
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
   * every `loggingSteps`. An aborted run keeps a checkpoint of its last whole step.
   *
   * @throws {DivergedError} If a loss or gradient is not finite. Parameters stay those of the last good step.
   * @throws The signal's reason, between micro-batches, when it is aborted.
   */
  async *train(signal: AbortSignal, options: TrainOptions = {}): AsyncGenerator<TrainingEvent> {
    const { from = null, checkpoints = null } = options;
    const { totalSteps } = countSteps(this.#data.train.length, this.#config);
    const { resources, pool, sinks } = this.#model;
    const run: TrainerRun = {
      signal,
      checkpoints,
      schedule: this.#schedule(totalSteps),
      optimizer: await createOptimizer(resources, pool, sinks, this.#config),
      meter: new StepMeter(this.#model, totalSteps, this.#now),
      step: from?.state.step ?? 0,
      evaluated: from?.state.evaluated ?? false,
      savedStep: from?.state.evaluated ? from.state.step : 0,
    };
    try {
      if (from) this.#restoreMoments(from.moments);
      yield* this.#steps(run, from?.state ?? null);
    } catch (error) {
      if (error === signal.reason && run.step > run.savedStep) yield* this.#saved(run);
      throw error;
    } finally {
      run.meter.destroy();
    }
  }

  async *#steps(run: TrainerRun, from: TrainerState | null): AsyncGenerator<TrainingEvent> {
    const { meter, optimizer, schedule, signal } = run;
    const { totalSteps } = schedule;
    const sampler = samplerOf(this.#data.train.length, this.#config);
    if (from) {
      meter.restore(from.since_report, from.step);
      if (!from.evaluated) yield* this.#evaluateAfter(run, sampler.epochAfter(from.step));
    } else {
      if (this.#data.eval.length > 0) yield await this.#evaluated(0, 0, signal);
      meter.start();
    }
    for (let step = run.step + 1; step <= totalSteps; step++) {
      const learningRate = learningRateAt(step - 1, schedule);
      const epoch = sampler.epochAfter(step);
      const tokens = await this.#accumulate(sampler.microBatches(step - 1), signal);
      optimizer.step(step, learningRate);
      meter.add(tokens);
      Object.assign(run, { step, evaluated: false });
      if (step % this.#config.loggingSteps === 0 || step === totalSteps) {
        yield await meter.report({ step, epoch, learningRate });
        meter.start();
      }
      yield* this.#evaluateAfter(run, epoch);
      if (run.checkpoints?.due(step, step === totalSteps)) yield* this.#saved(run);
    }
  }

  /** The evaluation after a step, where one is due. */
  async *#evaluateAfter(run: TrainerRun, epoch: number): AsyncGenerator<TrainingEvent> {
    const { step, meter, schedule } = run;
    const { evalSteps } = this.#config;
    const isDue = step === schedule.totalSteps || (evalSteps > 0 && step % evalSteps === 0);
    if (isDue && this.#data.eval.length > 0) {
      await meter.pause(step, learningRateAt(step - 1, schedule));
      yield await this.#evaluated(step, epoch, run.signal);
      meter.resume();
    }
    run.evaluated = true;
  }

  async *#saved(run: TrainerRun): AsyncGenerator<TrainingEvent> {
    const { checkpoints, step, evaluated, meter, schedule } = run;
    if (!checkpoints) return;
    const since_report = await meter.state(step, learningRateAt(step - 1, schedule));
    run.savedStep = step;
    yield await checkpoints.save({ step, evaluated, since_report });
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
      await this.#breather.breathe();
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
      await this.#breather.breathe();
      signal.throwIfAborted();
      await this.#model.accumulate(batch, 1 / trainedTokens);
    }
    return { tokens: sum((batch) => batch.tokens), trainedTokens };
  }

  #restoreMoments({ m, v }: Moments): void {
    const { pool } = this.#model;
    for (const parameter of pool.parameters) {
      for (const [part, moments] of [["m", m], ["v", v]] as const) {
        const found = moments.get(parameter.name);
        if (!found) {
          throw new ModelFormatError(`Cannot resume: the checkpoint holds no moments of "${parameter.name}"`);
        }
        pool.write(parameter, found.data, part);
      }
    }
  }

  #schedule(totalSteps: number): Schedule {
    const { lrSchedulerType: type, lrSchedulerKwargs: kwargs } = this.#config;
    const { learningRate: baseLearningRate, warmupSteps } = this.#config;
    return { type, kwargs, baseLearningRate, warmupSteps, totalSteps };
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
