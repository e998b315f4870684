/**
 * The training part of a job: the model goes onto the GPU, steps are done and logged, the weights to save are in place
 * at the end.
 *
 * @module
 */
import { readAdapter } from "../checkpoint/adapter.ts";
import { checkpointName, openCheckpoint, readMoments } from "../checkpoint/resume.ts";
import type { BestEvaluation } from "../checkpoint/resume_record.ts";
import type { FineTuneJobConfig } from "../config.ts";
import { agreeOnParameters } from "./agreement.ts";
import type { Communicator } from "../distributed/communicator.ts";
import type { TrainingEvent } from "../job.ts";
import type { RunLogs } from "../logs/run_logs.ts";
import { ModelManager } from "../model_manager.ts";
import { isDecomposed } from "../optim/decomposed_init.ts";
import type { DrawnInit } from "../optim/init.ts";
import type { PreparedRun } from "../prepared_run.ts";
import { RunCheckpoints } from "../run_checkpoints.ts";
import type { Progress } from "../run_progress.ts";
import { heldOutAnswers, Sampler } from "../samples.ts";
import type { Folder } from "../storage.ts";
import { batchLimits, isDue, ModelTrainer, type Samples } from "../trainer.ts";
import type { CheckpointMirror } from "./checkpoint_mirror.ts";
import { decompose, trainedPart } from "./residual.ts";

/** Where a run writes, and what keeps its course. */
export interface TrainingPlaces {
  readonly config: FineTuneJobConfig;
  readonly output: Folder;
  readonly models: ModelManager;
  readonly progress: Progress;
  /** Null on a rank that does not lead: it trains, and leaves all else to rank 0. */
  readonly logs: RunLogs | null;
  readonly ranks: Communicator;
  readonly signal: AbortSignal;
  /** Makes the step that is being done the last one. */
  readonly finish: AbortSignal | null;
  /** Asked after each step but the last whether prompts are to be answered now. */
  readonly answersNow: () => boolean;
  readonly mirror: CheckpointMirror | null;
}

/** Takes the memory, loads the base, and sets the parameters that the run begins with. */
export async function* loadModel(
  { base, model, start, lora: { init = true }, residual }: PreparedRun,
  models: ModelManager,
  seed: number,
  signal: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  if (residual && !start && isDecomposed(init)) yield* decompose(residual, base, init, seed, signal);
  yield { type: "phase", stage: "load", message: "loading the base model" };
  model.allocate();
  await model.decoder.load(residual ?? base.weights);
  const drawn = residual ? { given: residual.initial } : { init: init as DrawnInit };
  await models.initialise(
    model,
    start ? { kind: "adapter", adapter: start } : { kind: "seed", seed, ...drawn },
  );
}

/**
 * Trains a loaded model to the end of the run; whoever takes its events puts them into logs and progress. Samples before,
 * between and after where they are wanted.
 */
export async function* trainRun(run: PreparedRun, places: TrainingPlaces): AsyncGenerator<TrainingEvent> {
  const { data, checkpoint, model, gpu } = run;
  const { config, logs, ranks, signal, finish } = places;
  const from = checkpoint && { state: checkpoint.record, moments: await readMoments(checkpoint.folder) };
  if (checkpoint) {
    yield { type: "resumed", step: checkpoint.record.step, path: checkpoint.folder.uri };
  }
  const sampler = logs && samplerFor(run, config);
  if (sampler && !checkpoint) yield* sampled(sampler, places);
  yield { type: "phase", stage: "train", message: "compiling kernels" };
  const checkpoints = logs && new RunCheckpoints({ ...places, logs, run });
  const trainer = new ModelTrainer(model, data, config.training, undefined, ranks);
  const samples = sampler && samplesBetween(sampler, run, places);
  const agreed = async (when: string) =>
    ranks.size > 1 && await agreeOnParameters(ranks, (await model.pool.read()).values(), when);
  try {
    await agreed("before the first step");
    yield* trainer.train(signal, { from, checkpoints, samples, finish });
    await agreed("after the last step");
  } finally {
    await logs?.flush();
  }
  if (!logs) return;
  yield* bestLoaded(run, trainer.best, places);
  if (sampler) yield* sampled(sampler, places);
  gpu.check();
}

/** Asks held-out prompts, where that is wanted and there are any. */
function samplerFor(
  { model, tokenizer, data, stopTokenIds, samplePrompts: prompts }: PreparedRun,
  { training }: FineTuneJobConfig,
): Sampler | null {
  const { numGenerationSamples, exactMatch } = training;
  if (numGenerationSamples === 0 && prompts.length === 0 && !exactMatch) return null;
  const sampler = new Sampler(model, tokenizer, heldOutAnswers(data.eval, tokenizer), {
    prompts,
    shown: numGenerationSamples,
    exactMatch,
    rowLength: batchLimits(data, training).length,
    stopTokenIds,
  });
  return sampler.asks ? sampler : null;
}

/** Answers in the middle of training. */
function samplesBetween(
  sampler: Sampler,
  { steps: { totalSteps } }: PreparedRun,
  { config: { training: { sampleSteps } }, answersNow }: TrainingPlaces,
): Samples | null {
  if (!sampler.shows) return null;
  return {
    due: (step) => answersNow() || isDue(step, sampleSteps, totalSteps),
    sampled: (step, signal) => sampler.glimpsed(step, signal),
  };
}

/** Puts the weights of the best evaluation in place of the last ones, where that is wanted. */
async function* bestLoaded(
  { model, residual }: PreparedRun,
  best: BestEvaluation | null,
  { config, output, models, progress }: TrainingPlaces,
): AsyncGenerator<TrainingEvent> {
  const { loadBestModelAtEnd, metricForBestModel } = config.training;
  if (!loadBestModelAtEnd || best === null || best.step === progress.steps) return;
  const found = `${metricForBestModel} ${best.metric.toPrecision(4)}`;
  yield { type: "phase", message: `loading the best weights, those after step ${best.step} (${found})` };
  const { folder } = await openCheckpoint(output.folder(checkpointName(best.step)));
  await models.initialise(model, {
    kind: "adapter",
    adapter: trainedPart(residual, await readAdapter(folder)),
  });
  progress.evalLossAfter = best.eval_loss;
}

async function* sampled(
  sampler: Sampler,
  { progress, signal }: TrainingPlaces,
): AsyncGenerator<TrainingEvent> {
  yield { type: "phase", message: "answering held-out prompts" };
  yield await sampler.sampled(progress.steps, signal);
}
