/**
 * The training loop of supervised fine-tuning: batches, schedule, clipping, evaluation, and what it tells about them.
 *
 * @module
 */
import type { Moments } from "./checkpoint/resume.ts";
import type { TrainerState } from "./checkpoint/resume_record.ts";
import type { TrainingConfig } from "./config.ts";
import { type Batch, bucketLength, collate, collatePacked } from "./data/collate.ts";
import { EpochSampler } from "./data/epoch_sampler.ts";
import type { TokenizedExample } from "./data/example.ts";
import { packRows } from "./data/pack.ts";
import { type ExampleRows, rowLengths } from "./data/token_rows.ts";
import { DivergedError, ModelFormatError } from "./errors.ts";
import type { TrainingEvent } from "./job.ts";
import type { BatchLimits, TrainableModel } from "./models/trainable_model.ts";
import { createOptimizer, type Optimizer } from "./optim/optimizer.ts";
import { learningRateAt, type Schedule } from "./optim/schedule.ts";
import { Breather } from "./trainer/breather.ts";
import { StepMeter, type StepTokens } from "./trainer/step_meter.ts";

/** Rows to train on and to measure with. */
export interface TrainerData {
  readonly train: ExampleRows;
  readonly eval: ExampleRows;
  readonly padId: number;
  /** Training rows that share a row of the batch; null or absent where each has its own. */
  readonly packs?: readonly (readonly number[])[] | null;
}

/** Which training rows share a row of the batch; null unless `packing` is on. */
export function packsOf(train: ExampleRows, { packing, maxLength }: TrainingConfig): number[][] | null {
  return packing ? packRows(rowLengths(train), maxLength) : null;
}

/** Rows of the batch that one epoch takes, and the tokens of each. */
function batchRowLengths({ train, packs }: TrainerData): Uint32Array {
  const lengths = rowLengths(train);
  return packs
    ? Uint32Array.from(packs, (rows) => rows.reduce((sum, row) => sum + lengths[row]!, 0))
    : lengths;
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
export function countSteps(data: Pick<TrainerData, "train" | "packs">, config: TrainingConfig): StepCount {
  const sampler = samplerOf(data, config);
  const totalSteps = sampler.totalSteps(config.numTrainEpochs, config.maxSteps);
  return { stepsPerEpoch: sampler.stepsPerEpoch, totalSteps, totalEpochs: sampler.epochAfter(totalSteps) };
}

/** The largest batch that these rows and settings give. */
export function batchLimits(data: TrainerData, { batchSize, evalBatchSize }: TrainingConfig): BatchLimits {
  const longest = [batchRowLengths(data), rowLengths(data.eval)]
    .reduce((most, lengths) => lengths.reduce((longer, length) => Math.max(longer, length), most), 1);
  return { rows: Math.max(batchSize, evalBatchSize), trainRows: batchSize, length: bucketLength(longest) };
}

/** Tokens of a micro-batch of middling rows, padded; what its kernels are tuned for. */
export function typicalTokens(data: TrainerData, { batchSize }: TrainingConfig): number {
  const lengths = batchRowLengths(data).sort();
  return batchSize * bucketLength(lengths[lengths.length >> 1] ?? 1);
}

function samplerOf(
  { train, packs }: Pick<TrainerData, "train" | "packs">,
  { batchSize, gradientAccumulationSteps, seed }: TrainingConfig,
): EpochSampler {
  const examples = packs?.length ?? train.length;
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
    const { totalSteps } = countSteps(this.#data, this.#config);
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
    const sampler = samplerOf(this.#data, this.#config);
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
    examples: ExampleRows,
    signal?: AbortSignal,
    step = 0,
  ): Promise<EvalResult> {
    // rows of like length together, so that little is padding
    const lengths = rowLengths(examples);
    const sorted = Uint32Array.from(lengths, (_, row) => row)
      .sort((a, b) => lengths[a]! - lengths[b]! || a - b);
    const rows = this.#config.evalBatchSize;
    this.#model.clearTotals();
    let tokens = 0;
    for (let i = 0; i < sorted.length; i += rows) {
      await this.#breather.breathe();
      signal?.throwIfAborted();
      const batch = this.#collate([...sorted.subarray(i, i + rows)].map((row) => examples.at(row)!), rows);
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
    const batches = microBatches.map((indices) => this.#microBatch(indices));
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

  /** Rows of the batch by their indices: training rows, or packs of them. */
  #microBatch(indices: readonly number[]): Batch {
    const { train, packs, padId } = this.#data, rows = this.#config.batchSize;
    const row = (index: number) => train.at(index)!;
    if (!packs) return this.#collate(indices.map(row), rows);
    const packed = indices.map((index) => packs[index]!.map(row));
    const longest = packed.reduce(
      (most, documents) => Math.max(most, documents.reduce((sum, { inputIds }) => sum + inputIds.length, 0)),
      1,
    );
    return collatePacked(packed, { rows, length: bucketLength(longest), padId });
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
