/**
 * Micro-batches as the model takes them, padded to a length of which there are few.
 *
 * @module
 */
import { type Batch, bucketLength, collate, collatePacked } from "../data/collate.ts";
import type { TokenizedExample } from "../data/example.ts";
import type { TrainerData } from "./trainer_data.ts";

/** A batch of rows of their own. */
export function rowsBatch(examples: readonly TokenizedExample[], rows: number, padId: number): Batch {
  const longest = examples.reduce((most, { inputIds }) => Math.max(most, inputIds.length), 1);
  return collate(examples, { rows, length: bucketLength(longest), padId });
}

/** A batch of training rows by their indices, or of packs of them where rows are packed. */
export function trainingBatch(
  { train, packs, padId }: TrainerData,
  indices: readonly number[],
  rows: number,
): Batch {
  const row = (index: number) => train.at(index)!;
  if (!packs) return rowsBatch(indices.map(row), rows, padId);
  const packed = indices.map((index) => packs[index]!.map(row));
  const longest = packed.reduce(
    (most, documents) => Math.max(most, documents.reduce((sum, { inputIds }) => sum + inputIds.length, 0)),
    1,
  );
  return collatePacked(packed, { rows, length: bucketLength(longest), padId });
}
