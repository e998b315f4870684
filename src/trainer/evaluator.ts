/**
 * The loss of rows that are not trained on.
 *
 * @module
 */
import type { TrainingConfig } from "../config.ts";
import { DivergedError } from "../errors.ts";
import type { TrainableModel } from "../models/trainable_model.ts";
import type { Breather } from "./breather.ts";
import { batchOf, type BatchSource } from "./micro_batches.ts";
import { batchRowLengths } from "./trainer_data.ts";

/** Means over labelled tokens. */
export interface EvalResult {
  /** nats */
  readonly loss: number;
  /** Share of them to which the model gave the largest logit, 0..1. */
  readonly accuracy: number;
  readonly tokens: number;
}

/** How an evaluation goes. */
export interface EvaluationOptions extends Pick<TrainingConfig, "evalBatchSize"> {
  readonly breather: Breather;
  readonly signal?: AbortSignal | undefined;
  /** Optimizer steps done so far, for the error. */
  readonly step: number;
}

/**
 * Summed loss over all labelled tokens divided by their number: the same whatever the batch size and the packing.
 *
 * @throws {DivergedError} If a logit or the loss is not finite.
 */
export async function evaluateRows(
  model: TrainableModel,
  source: BatchSource,
  { evalBatchSize: rows, breather, signal, step }: EvaluationOptions,
): Promise<EvalResult> {
  // rows of like length together, so that little is padding
  const lengths = batchRowLengths(source.rows, source.packs);
  const sorted = Uint32Array.from(lengths, (_, row) => row)
    .sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  model.clearTotals();
  let tokens = 0;
  for (let i = 0; i < sorted.length; i += rows) {
    await breather.breathe();
    signal?.throwIfAborted();
    model.resources.gpu.check();
    const batch = batchOf(source, [...sorted.subarray(i, i + rows)], rows);
    await model.evaluate(batch);
    tokens += batch.trainedTokens;
  }
  const { summedLoss, correctTokens, finite } = await model.totals();
  if (!finite) throw evaluationDiverged(step);
  return { loss: summedLoss / tokens, accuracy: correctTokens / tokens, tokens };
}

function evaluationDiverged(step: number): DivergedError {
  const cure = step === 0
    ? "the base model or the adapter to continue from is damaged, or the data does not suit it"
    : "lower learning_rate, or set max_grad_norm";
  return new DivergedError(`The evaluation loss after step ${step} is not a finite number: ${cure}`, step);
}
