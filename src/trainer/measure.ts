/**
 * Loss and accuracy of rows that nothing is learned from.
 *
 * @module
 */
import { type Communicator, ONE_RANK } from "../distributed/communicator.ts";
import type { TrainableModel } from "../models/trainable_model.ts";
import { Breather } from "./breather.ts";
import { batchOf, type BatchSource } from "./micro_batches.ts";
import { batchRowLengths } from "./trainer_data.ts";

/** Means over labelled tokens. */
export interface EvalResult {
  /** nats */
  readonly loss: number;
  /** Share of them to which the model gave the largest logit, 0..1. */
  readonly accuracy: number;
  /** Labelled tokens that were measured on. */
  readonly tokens: number;
}

/** How rows are measured. */
export interface MeasureOptions {
  /** Rows of a forward pass. */
  readonly batchRows: number;
  readonly signal?: AbortSignal | undefined;
  readonly breather?: Breather;
  /** Who shares the batches; all get the same result. Default: nobody. */
  readonly ranks?: Communicator;
}

/**
 * Summed loss over all labelled tokens divided by their number: the same whatever the batch size and the packing.
 * Yields the rows, or packs of them, done so far after each batch.
 *
 * @returns Null where a logit or the loss is not finite.
 * @throws The signal's reason, between batches, when it is aborted.
 */
export async function* measureRows(
  model: TrainableModel,
  source: BatchSource,
  { batchRows, signal, breather = new Breather(), ranks = ONE_RANK }: MeasureOptions,
): AsyncGenerator<number, EvalResult | null> {
  // rows of like length together, so that little is padding
  const lengths = batchRowLengths(source.rows, source.packs);
  const sorted = Uint32Array.from(lengths, (_, row) => row)
    .sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  model.clearTotals();
  let tokens = 0;
  for (let first = 0; first < sorted.length; first += batchRows) {
    if (first / batchRows % ranks.size !== ranks.rank) continue;
    await breather.breathe();
    signal?.throwIfAborted();
    model.resources.gpu.check();
    const batch = batchOf(source, [...sorted.subarray(first, first + batchRows)], batchRows);
    await model.evaluate(batch);
    tokens += batch.trainedTokens;
    yield Math.min(first + batchRows, sorted.length);
  }
  const own = await model.totals();
  const sums = Float64Array.of(own.summedLoss, own.correctTokens, tokens, own.finite ? 0 : 1);
  await ranks.sum(sums);
  const [summedLoss, correct, count, failed] = sums as unknown as [number, number, number, number];
  return failed === 0 ? { loss: summedLoss / count, accuracy: correct / count, tokens: count } : null;
}
