/**
 * The loss of rows that are not trained on.
 *
 * @module
 */
import type { TrainingConfig } from "../config.ts";
import type { Communicator } from "../distributed/communicator.ts";
import { DivergedError } from "../errors.ts";
import type { TrainableModel } from "../models/trainable_model.ts";
import type { Breather } from "./breather.ts";
import { type EvalResult, measureRows } from "./measure.ts";
import type { BatchSource } from "./micro_batches.ts";

export type { EvalResult } from "./measure.ts";

/** How an evaluation goes. */
export interface EvaluationOptions extends Pick<TrainingConfig, "evalBatchSize"> {
  readonly breather: Breather;
  readonly signal?: AbortSignal | undefined;
  /** Optimizer steps done so far, for the error. */
  readonly step: number;
  /** Who shares the rows. */
  readonly ranks: Communicator;
}

/**
 * Summed loss over all labelled tokens divided by their number: the same whatever the batch size and the packing.
 *
 * @throws {DivergedError} If a logit or the loss is not finite.
 */
export async function evaluateRows(
  model: TrainableModel,
  source: BatchSource,
  { evalBatchSize, breather, signal, step, ranks }: EvaluationOptions,
): Promise<EvalResult> {
  const measuring = measureRows(model, source, { batchRows: evalBatchSize, breather, signal, ranks });
  for (;;) {
    const { done, value } = await measuring.next();
    if (!done) continue;
    if (value === null) throw evaluationDiverged(step);
    return value;
  }
}

function evaluationDiverged(step: number): DivergedError {
  const cure = step === 0
    ? "the base model or the adapter to continue from is damaged, or the data does not suit it"
    : "lower learning_rate, or set max_grad_norm";
  return new DivergedError(`The evaluation loss after step ${step} is not a finite number: ${cure}`, step);
}
