/**
 * Micro-batches as the model takes them, padded to a length of which there are few.
 *
 * @module
 */
import { type Batch, bucketLength, collate, collatePacked } from "../data/collate.ts";
import type { ExampleRows } from "../data/token_rows.ts";
import type { Packs } from "./trainer_data.ts";

/** Rows, some of which may share a row of the batch. */
export interface BatchSource {
  readonly rows: ExampleRows;
  readonly packs: Packs | null;
  readonly padId: number;
}

/** A batch of `size` rows: these rows of the source by their indices, or these packs where it has some. */
export function batchOf(
  { rows, packs, padId }: BatchSource,
  indices: readonly number[],
  size: number,
): Batch {
  const packed = indices.map((index) => (packs ? packs[index]! : [index]).map((row) => rows.at(row)!));
  const longest = packed.reduce(
    (most, documents) => Math.max(most, documents.reduce((sum, { inputIds }) => sum + inputIds.length, 0)),
    1,
  );
  const shape = { rows: size, length: bucketLength(longest), padId };
  return packs ? collatePacked(packed, shape) : collate(packed.flat(), shape);
}
