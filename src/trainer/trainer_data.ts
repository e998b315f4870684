/**
 * What is trained on and measured with, and what follows from it and the options: the length of a run, the largest and
 * the typical batch.
 *
 * @module
 */
import type { TrainingConfig } from "../config.ts";
import { followsMetric } from "../config/scheduler_kwargs.ts";
import { bucketLength } from "../data/collate.ts";
import { EpochSampler } from "../data/epoch_sampler.ts";
import { packRows } from "../data/pack.ts";
import { type ExampleRows, rowLengths } from "../data/token_rows.ts";
import { ConfigError } from "../errors.ts";
import type { BatchLimits } from "../models/trainable_model.ts";

/** Rows to train on and to measure with. */
export interface TrainerData {
  /** Rows to train on. */
  readonly train: ExampleRows;
  /** Rows to evaluate on. */
  readonly eval: ExampleRows;
  /** Id that fills short rows up; it is never labelled. */
  readonly padId: number;
  /** Training rows that share a row of the batch; null or absent where each has its own. */
  readonly packs?: Packs | null;
  /** The same of the rows to measure with. */
  readonly evalPacks?: Packs | null;
}

/** Indices of the rows that share a row of the batch. */
export type Packs = readonly (readonly number[])[];

/** Which training rows share a row of the batch; null unless `packing` is on. */
export function packsOf(train: ExampleRows, { packing, maxLength }: TrainingConfig): number[][] | null {
  return packing ? packRows(rowLengths(train), maxLength) : null;
}

/** Which rows of evaluations share one; null unless `eval_packing` is on, or `packing` where it says nothing. */
export function evalPacksOf(
  held: ExampleRows,
  { packing, evalPacking, maxLength }: TrainingConfig,
): number[][] | null {
  return evalPacking ?? packing ? packRows(rowLengths(held), maxLength) : null;
}

/** Tokens of the rows of the batch: of each row, or of each pack. */
export function batchRowLengths(rows: ExampleRows, packs: Packs | null = null): Uint32Array {
  const lengths = rowLengths(rows);
  return packs
    ? Uint32Array.from(packs, (rows) => rows.reduce((sum, row) => sum + lengths[row]!, 0))
    : lengths;
}

/** How long a run is. */
export interface StepCount {
  /** Optimizer steps of one pass over the rows. */
  readonly stepsPerEpoch: number;
  /** Optimizer steps of the whole run. */
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

/**
 * Steps between two events, of a setting that is a number of steps or below 1 a share of all steps: rounded up, as
 * transformers does. 0 stays 0.
 */
export function stepInterval(setting: number, totalSteps: number): number {
  return setting < 1 ? Math.ceil(setting * totalSteps) : setting;
}

/** Whether something that comes every so many steps comes after this one; never for a setting of 0. */
export function isDue(step: number, setting: number, totalSteps: number): boolean {
  const interval = stepInterval(setting, totalSteps);
  return interval > 0 && step % interval === 0;
}

/** The largest batch that these rows and settings give. */
export function batchLimits(
  { train, packs, eval: held, evalPacks }: TrainerData,
  { batchSize, evalBatchSize }: TrainingConfig,
): BatchLimits {
  const longest = [batchRowLengths(train, packs), batchRowLengths(held, evalPacks)]
    .reduce((most, lengths) => lengths.reduce((longer, length) => Math.max(longer, length), most), 1);
  return { rows: Math.max(batchSize, evalBatchSize), trainRows: batchSize, length: bucketLength(longest) };
}

/** Tokens of a micro-batch of middling rows, padded; what its kernels are tuned for. */
export function typicalTokens({ train, packs }: TrainerData, { batchSize }: TrainingConfig): number {
  const lengths = batchRowLengths(train, packs).sort();
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

/** The micro-batches of each step. */
export function samplerOf(
  { train, packs }: Pick<TrainerData, "train" | "packs">,
  { batchSize, gradientAccumulationSteps, seed }: TrainingConfig,
): EpochSampler {
  const examples = packs?.length ?? train.length;
  return new EpochSampler({ examples, batchSize, gradientAccumulationSteps, seed });
}
