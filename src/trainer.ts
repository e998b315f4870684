/**
 * The training loop of supervised fine-tuning: batches, schedule, clipping, evaluation, and what it tells about them.
 *
 * @module
 */
import type { Moments } from "./checkpoint/resume.ts";
import type { BestEvaluation, TrainerState } from "./checkpoint/resume_record.ts";
import type { TrainingConfig } from "./config.ts";
import type { Batch } from "./data/collate.ts";
import type { ExampleRows } from "./data/token_rows.ts";
import { type Communicator, ONE_RANK, RankStoppedError } from "./distributed/communicator.ts";
import { ModelFormatError } from "./errors.ts";
import type { TrainingEvent } from "./job.ts";
import type { TrainableModel } from "./models/trainable_model.ts";
import { createOptimizer, type Optimizer } from "./optim/optimizer.ts";
import { Breather } from "./trainer/breather.ts";
import { type EvalResult, evaluateRows } from "./trainer/evaluator.ts";
import { type Evaluation, Judgement } from "./trainer/judgement.ts";
import { LearningRate } from "./trainer/learning_rate.ts";
import { batchOf, type BatchSource } from "./trainer/micro_batches.ts";
import { StepExchange } from "./trainer/step_exchange.ts";
import { type StepEvent, StepMeter, type StepTokens } from "./trainer/step_meter.ts";
import { countSteps, isDue, samplerOf, type StepCount, type TrainerData } from "./trainer/trainer_data.ts";
import { Watchdog } from "./trainer/watchdog.ts";

export type { EvalResult } from "./trainer/evaluator.ts";
export { LearningRate } from "./trainer/learning_rate.ts";
export {
  batchLimits,
  checkEvaluable,
  countSteps,
  evalPacksOf,
  isDue,
  packsOf,
  samplerOf,
  type StepCount,
  stepInterval,
  type TrainerData,
  typicalTokens,
} from "./trainer/trainer_data.ts";

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

/**
 * What a run goes on from, and where it keeps how far it came.
 *
 * @internal
 */
export interface TrainOptions {
  /** The parameters must be those of the state. Default: a fresh start. */
  readonly from?: { readonly state: TrainerState; readonly moments: Moments } | null;
  /** Default: none are kept. */
  readonly checkpoints?: Checkpoints | null;
  /** Default: no prompt is answered. */
  readonly samples?: Samples | null;
  /**
   * Once aborted, the step that is being done is the last one, and all that follows the last step follows it. Default: the
   * run is as long as the configuration says. Not heard where there are several ranks.
   */
  readonly finish?: AbortSignal | null;
}

/** A run in the making. */
interface TrainerRun {
  readonly signal: AbortSignal;
  readonly checkpoints: Checkpoints | null;
  readonly samples: Samples | null;
  readonly finish: AbortSignal | null;
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
  /** Whether no step follows the last one, as was decided when it was done. */
  isLast: boolean;
  /** Whether the evaluation after the last step was the best so far. */
  isBest: boolean;
}

/** The training loop: batches in, an adapter on the GPU out, and events on the way. */
export class ModelTrainer {
  readonly #model: TrainableModel;
  readonly #data: TrainerData;
  readonly #config: TrainingConfig;
  readonly #now: () => number;
  readonly #ranks: Communicator;
  readonly #breather = new Breather();
  #stepExchange: StepExchange | null = null;
  #best: BestEvaluation | null = null;

  /**
   * The model must be allocated, loaded and initialised.
   *
   * @param config Of all ranks together: they share the micro-batches of a step.
   * @param now Gives milliseconds.
   * @param ranks The other ranks, each with a trainer of its own; all make the same calls. Default: there are none.
   */
  constructor(
    model: TrainableModel,
    data: TrainerData,
    config: TrainingConfig,
    now: () => number = () => performance.now(),
    ranks: Communicator = ONE_RANK,
  ) {
    this.#model = model;
    this.#data = data;
    this.#config = config;
    this.#now = now;
    this.#ranks = ranks;
  }

  /** The best evaluation after a step of the run so far; null before the first. */
  get best(): BestEvaluation | null {
    return this.#best;
  }

  /**
   * Trains to the end: an evaluation before the first step, one every `evalSteps` or epoch and one at the end, a step
   * event every `loggingSteps`. The end is early where evaluations no longer improve and `earlyStoppingPatience` is set, or
   * where `finish` is aborted.
   * An aborted run keeps a checkpoint of its last whole step.
   *
   * @throws {DivergedError} If a loss or gradient is not finite, when parameters stay those of the last good step; or if
   * the loss has exploded.
   * @throws The signal's reason, between micro-batches, when it is aborted; with other ranks after a step's last one.
   * @throws {RankStoppedError} Where another rank was.
   */
  async *train(signal: AbortSignal, options: TrainOptions = {}): AsyncGenerator<TrainingEvent> {
    const { from = null, checkpoints = null, samples = null, finish = null } = options;
    const steps = countSteps(this.#data, this.#config);
    const { resources, pool, sinks } = this.#model;
    const run: TrainerRun = {
      signal,
      checkpoints,
      samples,
      finish: this.#ranks.size > 1 ? null : finish,
      steps,
      learningRate: new LearningRate(this.#config, steps.totalSteps),
      optimizer: await createOptimizer(resources, pool, sinks, this.#config),
      meter: new StepMeter(this.#model, steps.totalSteps, this.#now),
      judgement: new Judgement(this.#config),
      watchdog: this.#watchdog(),
      step: from?.state.step ?? 0,
      evaluated: from?.state.evaluated ?? false,
      savedStep: from?.state.evaluated ? from.state.step : 0,
      isLast: false,
      isBest: false,
    };
    try {
      if (from) this.#restore(run, from.state, from.moments);
      yield* this.#steps(run, from?.state ?? null);
    } catch (error) {
      const isStop = error === signal.reason || error instanceof RankStoppedError;
      if (isStop && run.step > run.savedStep) yield* this.#saved(run);
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
    for (let step = run.step + 1; step <= totalSteps && !judgement.stops && !run.isLast; step++) {
      const epoch = sampler.epochAfter(step);
      const tokens = await this.#accumulate(step, sampler.microBatches(step - 1), signal);
      optimizer.step(step, learningRate.of(step));
      meter.add(tokens);
      const isLast = step === totalSteps || run.finish?.aborted === true;
      Object.assign(run, { step, evaluated: false, isLast });
      if (isLast && step < totalSteps) {
        yield { type: "phase", message: `ending after step ${step}, as was asked` };
      }
      if (isLast || isDue(step, this.#config.loggingSteps, totalSteps)) yield await this.#report(run, epoch);
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
    const { step, isLast, meter, samples, signal } = run;
    const isEvaluation = this.#data.eval.length > 0 && this.#evaluatesAfter(run);
    const isSample = !isLast && samples?.due(step) === true;
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

  #evaluatesAfter({ step, isLast, steps: { totalSteps, stepsPerEpoch } }: TrainerRun): boolean {
    const { evalStrategy, evalSteps } = this.#config;
    if (isLast) return true;
    if (evalStrategy === "epoch") return step % stepsPerEpoch === 0;
    return evalStrategy === "steps" && isDue(step, evalSteps, totalSteps);
  }

  async *#savedIfDue(run: TrainerRun): AsyncGenerator<TrainingEvent> {
    const isLast = run.isLast || run.judgement.stops;
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

  /** Mean loss of rows of their own with the parameters as they are, see {@link evaluateRows}. */
  evaluate(examples: ExampleRows, signal?: AbortSignal): Promise<EvalResult> {
    return this.#evaluate({ rows: examples, packs: null, padId: this.#data.padId }, signal, 0);
  }

  #evaluate(source: BatchSource, signal: AbortSignal | undefined, step: number): Promise<EvalResult> {
    const { evalBatchSize } = this.#config, breather = this.#breather, ranks = this.#ranks;
    // a rank that left an evaluation alone would keep the others waiting for its part: all stop in the next step
    const heard = ranks.size > 1 ? undefined : signal;
    return evaluateRows(this.#model, source, { evalBatchSize, breather, signal: heard, step, ranks });
  }

  async #evaluated(
    step: number,
    epoch: number,
    signal: AbortSignal,
  ): Promise<{ event: TrainingEvent; evaluation: Evaluation }> {
    const start = performance.now();
    const { eval: rows, evalPacks: packs = null, padId } = this.#data;
    const { loss, accuracy, tokens } = await this.#evaluate({ rows, packs, padId }, signal, step);
    const evalSeconds = (performance.now() - start) / 1000;
    const found = { evalLoss: loss, evalTokens: tokens, evalTokenAccuracy: accuracy, evalSeconds };
    return { event: { type: "evaluated", step, epoch, ...found }, evaluation: { step, loss, accuracy } };
  }

  /**
   * Gradients of one optimizer step, each trained token of all its micro-batches weighing the same. Ranks take turns at
   * the micro-batches; then each has the gradients of all.
   */
  async #accumulate(
    step: number,
    microBatches: readonly (readonly number[])[],
    signal: AbortSignal,
  ): Promise<StepTokens> {
    const { train: rows, packs = null, padId } = this.#data, { batchSize } = this.#config;
    const batches = microBatches.map((indices) => batchOf({ rows, packs, padId }, indices, batchSize));
    const sum = (count: (batch: Batch) => number) =>
      batches.reduce((total, batch) => total + count(batch), 0);
    const trainedTokens = sum((batch) => batch.trainedTokens);
    this.#model.clearGradients();
    const { rank, size } = this.#ranks, exchange = size > 1 ? this.#exchange() : null;
    exchange?.begin();
    let firstToken = 0, ownTrainedTokens = 0;
    for (const [i, batch] of batches.entries()) {
      await this.#breather.breathe();
      if (!exchange) signal.throwIfAborted();
      this.#model.resources.gpu.check(); // or steps would go on into nothing until the next report
      if (i % size === rank) {
        await this.#model.accumulate(batch, 1 / trainedTokens, { step, firstToken });
        ownTrainedTokens += batch.trainedTokens;
      }
      firstToken += batch.tokens;
    }
    const own = { trainedTokens: ownTrainedTokens, allTrainedTokens: trainedTokens, stops: signal.aborted };
    if (await exchange?.exchange(own)) {
      signal.throwIfAborted();
      throw new RankStoppedError();
    }
    return { tokens: firstToken, trainedTokens };
  }

  #exchange(): StepExchange {
    return this.#stepExchange ??= new StepExchange(this.#model, this.#ranks);
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
      for (const part of pool.moments) {
        const found = (part === "m" ? m : v).get(parameter.name);
        if (!found) {
          throw new ModelFormatError(`Cannot resume: the checkpoint holds no moments of "${parameter.name}"`);
        }
        pool.write(parameter, found.data, part);
      }
    }
  }
}
