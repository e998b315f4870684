/**
 * The training loop of supervised fine-tuning: batches, schedule, clipping, evaluation, and what it tells about them.
 *
 * @module
 */
import type { Moments } from "./checkpoint/resume.ts";
import type { BestEvaluation, TrainerState } from "./checkpoint/resume_record.ts";
import type { TrainingConfig } from "./config.ts";
import { followsMetric } from "./config/scheduler_kwargs.ts";
import { type Batch, bucketLength, collate, collatePacked } from "./data/collate.ts";
import { EpochSampler } from "./data/epoch_sampler.ts";
import type { TokenizedExample } from "./data/example.ts";
import { packRows } from "./data/pack.ts";
import { type ExampleRows, rowLengths } from "./data/token_rows.ts";
import { ConfigError, DivergedError, ModelFormatError } from "./errors.ts";
import type { TrainingEvent } from "./job.ts";
import type { BatchLimits, TrainableModel } from "./models/trainable_model.ts";
import { createOptimizer, type Optimizer } from "./optim/optimizer.ts";
import { Breather } from "./trainer/breather.ts";
import { type Evaluation, Judgement } from "./trainer/judgement.ts";
import { LearningRate } from "./trainer/learning_rate.ts";
import { type StepEvent, StepMeter, type StepTokens } from "./trainer/step_meter.ts";
import { Watchdog } from "./trainer/watchdog.ts";

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

/** Means over labelled tokens. */
export interface EvalResult {
  /** nats */
  readonly loss: number;
  /** Share of them to which the model gave the largest logit, 0..1. */
  readonly accuracy: number;
  readonly tokens: number;
}

/** Answers prompts in the middle of a run. */
export interface Samples {
  /** Asked after every step but the last. */
  due(step: number): boolean;
  /** Called while the parameters are those after the step. */
  sampled(step: number, signal: AbortSignal): Promise<TrainingEvent>;
}

/** Keeps states of a run from which it can go on. */
export interface Checkpoints {
  /** Asked after every step, its evaluation included. `isBest` where that brought the best metric so far. */
  due(step: number, isLast: boolean, isBest: boolean): boolean;
  /** Called while parameters and moments are those of the state; gives the event that tells of it. */
  save(state: TrainerState): Promise<TrainingEvent>;
}

/** What a run goes on from, and where it keeps how far it came. */
export interface TrainOptions {
  /** The parameters must be those of the state. Default: a fresh start. */
  readonly from?: { readonly state: TrainerState; readonly moments: Moments } | null;
  /** Default: none are kept. */
  readonly checkpoints?: Checkpoints | null;
  /** Default: no prompt is answered. */
  readonly samples?: Samples | null;
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

/** @throws {ConfigError} If options need evaluations and no row is held out for them. */
export function checkEvaluable({ eval: held }: Pick<TrainerData, "eval">, config: TrainingConfig): void {
  if (held.length > 0) return;
  const needing = [
    ...(followsMetric(config.lrSchedulerType) ? ["lr_scheduler_type"] : []),
    ...(config.earlyStoppingPatience > 0 ? ["early_stopping_patience"] : []),
    ...(config.loadBestModelAtEnd ? ["load_best_model_at_end"] : []),
  ];
  if (needing.length === 0) return;
  const message =
    "follows evaluations, and no row is held out for them: give eval_data_path, or raise train_test_split";
  throw new ConfigError(needing.map((path) => ({ path, message })));
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
  readonly samples: Samples | null;
  readonly steps: StepCount;
  readonly learningRate: LearningRate;
  readonly optimizer: Optimizer;
  readonly meter: StepMeter;
  readonly judgement: Judgement;
  readonly watchdog: Watchdog;
  /** Whole steps done; whether the evaluation after the last one is done, too; and the last one with a checkpoint. */
  step: number;
  evaluated: boolean;
  savedStep: number;
  /** Whether the evaluation after the last step was the best so far. */
  isBest: boolean;
}

export class ModelTrainer {
  readonly #model: TrainableModel;
  readonly #data: TrainerData;
  readonly #config: TrainingConfig;
  readonly #now: () => number;
  readonly #breather = new Breather();
  #best: BestEvaluation | null = null;

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

  /** The best evaluation after a step of the run so far; null before the first. */
  get best(): BestEvaluation | null {
    return this.#best;
  }

  /**
   * Trains to the end: an evaluation before the first step, one every `evalSteps` or epoch and one at the end, a step
   * event every `loggingSteps`. The end is early where evaluations no longer improve and `earlyStoppingPatience` is set.
   * An aborted run keeps a checkpoint of its last whole step.
   *
   * @throws {DivergedError} If a loss or gradient is not finite, when parameters stay those of the last good step; or if
   * the loss has exploded.
   * @throws The signal's reason, between micro-batches, when it is aborted.
   */
  async *train(signal: AbortSignal, options: TrainOptions = {}): AsyncGenerator<TrainingEvent> {
    const { from = null, checkpoints = null, samples = null } = options;
    const steps = countSteps(this.#data, this.#config);
    const { resources, pool, sinks } = this.#model;
    const run: TrainerRun = {
      signal,
      checkpoints,
      samples,
      steps,
      learningRate: new LearningRate(this.#config, steps.totalSteps),
      optimizer: await createOptimizer(resources, pool, sinks, this.#config),
      meter: new StepMeter(this.#model, steps.totalSteps, this.#now),
      judgement: new Judgement(this.#config),
      watchdog: this.#watchdog(),
      step: from?.state.step ?? 0,
      evaluated: from?.state.evaluated ?? false,
      savedStep: from?.state.evaluated ? from.state.step : 0,
      isBest: false,
    };
    try {
      if (from) this.#restore(run, from.state, from.moments);
      yield* this.#steps(run, from?.state ?? null);
    } catch (error) {
      if (error === signal.reason && run.step > run.savedStep) yield* this.#saved(run);
      throw error;
    } finally {
      run.meter.destroy();
    }
  }

  async *#steps(run: TrainerRun, from: TrainerState | null): AsyncGenerator<TrainingEvent> {
    const { meter, optimizer, learningRate, judgement, signal } = run;
    const { totalSteps } = run.steps;
    const sampler = samplerOf(this.#data, this.#config);
    if (from) {
      if (!from.evaluated) yield* this.#lookAfter(run, sampler.epochAfter(from.step));
    } else {
      if (this.#data.eval.length > 0) yield (await this.#evaluated(0, 0, signal)).event;
      meter.start();
    }
    for (let step = run.step + 1; step <= totalSteps && !judgement.stops; step++) {
      const epoch = sampler.epochAfter(step);
      const tokens = await this.#accumulate(step, sampler.microBatches(step - 1), signal);
      optimizer.step(step, learningRate.of(step));
      meter.add(tokens);
      Object.assign(run, { step, evaluated: false });
      if (step % this.#config.loggingSteps === 0 || step === totalSteps) yield await this.#report(run, epoch);
      yield* this.#lookAfter(run, epoch);
      if (judgement.stops) {
        if (meter.holdsSteps) yield await this.#report(run, epoch);
        yield { type: "phase", message: judgement.reason };
      }
      yield* this.#savedIfDue(run);
    }
  }

  async #report({ step, meter, learningRate, watchdog }: TrainerRun, epoch: number): Promise<StepEvent> {
    const event = await meter.report({ step, epoch, learningRate: learningRate.of(step) });
    watchdog.watch(event);
    meter.start();
    return event;
  }

  /** Answers and the evaluation after a step, where they are due. */
  async *#lookAfter(run: TrainerRun, epoch: number): AsyncGenerator<TrainingEvent> {
    const { step, steps: { totalSteps }, meter, samples, signal } = run;
    const isEvaluation = this.#data.eval.length > 0 && this.#evaluatesAfter(run);
    const isSample = step < totalSteps && samples?.due(step) === true;
    if (isEvaluation || isSample) await meter.pause(step, run.learningRate.of(step));
    if (isSample) yield await samples.sampled(step, signal);
    run.isBest = false;
    if (isEvaluation) {
      const { event, evaluation } = await this.#evaluated(step, epoch, signal);
      run.isBest = run.judgement.add(evaluation);
      this.#best = run.judgement.best;
      run.learningRate.observe(run.judgement.metricOf(evaluation));
      yield event;
    }
    if (isEvaluation || isSample) meter.resume();
    run.evaluated = true;
  }

  #evaluatesAfter({ step, steps: { totalSteps, stepsPerEpoch } }: TrainerRun): boolean {
    const { evalStrategy, evalSteps } = this.#config;
    if (step === totalSteps) return true;
    if (evalStrategy === "epoch") return step % stepsPerEpoch === 0;
    return evalStrategy === "steps" && evalSteps > 0 && step % evalSteps === 0;
  }

  async *#savedIfDue(run: TrainerRun): AsyncGenerator<TrainingEvent> {
    const isLast = run.step === run.steps.totalSteps || run.judgement.stops;
    const isWorthIt = isLast || !run.watchdog.alarmed;
    if (isWorthIt && run.checkpoints?.due(run.step, isLast, run.isBest)) yield* this.#saved(run);
  }

  async *#saved(run: TrainerRun): AsyncGenerator<TrainingEvent> {
    const { checkpoints, step, evaluated, meter, learningRate, judgement, watchdog } = run;
    if (!checkpoints) return;
    const since_report = await meter.state(step, learningRate.of(step));
    run.savedStep = step;
    const schedule = learningRate.state && { ...learningRate.state };
    const decided = { judgement: judgement.state, schedule, watchdog: watchdog.state };
    yield await checkpoints.save({ step, evaluated, since_report, ...decided });
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
    const { summedLoss, correctTokens, finite } = await this.#model.totals();
    if (!finite) throw evaluationDiverged(step);
    return { loss: summedLoss / tokens, accuracy: correctTokens / tokens, tokens };
  }

  async #evaluated(
    step: number,
    epoch: number,
    signal: AbortSignal,
  ): Promise<{ event: TrainingEvent; evaluation: Evaluation }> {
    const start = performance.now();
    const { loss, accuracy, tokens } = await this.evaluate(this.#data.eval, signal, step);
    const evalSeconds = (performance.now() - start) / 1000;
    const found = { evalLoss: loss, evalTokens: tokens, evalTokenAccuracy: accuracy, evalSeconds };
    return { event: { type: "evaluated", step, epoch, ...found }, evaluation: { step, loss, accuracy } };
  }

  /** Gradients of one optimizer step, each trained token of all its micro-batches weighing the same. */
  async #accumulate(
    step: number,
    microBatches: readonly (readonly number[])[],
    signal: AbortSignal,
  ): Promise<StepTokens> {
    const batches = microBatches.map((indices) => this.#microBatch(indices));
    const sum = (count: (batch: Batch) => number) =>
      batches.reduce((total, batch) => total + count(batch), 0);
    const trainedTokens = sum((batch) => batch.trainedTokens);
    this.#model.clearGradients();
    let firstToken = 0;
    for (const batch of batches) {
      await this.#breather.breathe();
      signal.throwIfAborted();
      await this.#model.accumulate(batch, 1 / trainedTokens, { step, firstToken });
      firstToken += batch.tokens;
    }
    return { tokens: firstToken, trainedTokens };
  }

  #watchdog(): Watchdog {
    const { lossWatchdogThreshold: threshold, lossWatchdogPatience: patience } = this.#config;
    return new Watchdog({ threshold, patience, vocabSize: this.#model.decoder.config.vocabSize });
  }

  #restore(run: TrainerRun, state: TrainerState, moments: Moments): void {
    this.#restoreMoments(moments);
    run.meter.restore(state.since_report, state.step);
    run.judgement.restore(state.judgement);
    run.learningRate.restore(state.schedule);
    run.watchdog.restore(state.watchdog);
    this.#best = state.judgement.best;
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
