import type { TokenizedExample } from "./example.ts";
import { IGNORE_INDEX } from "./mask.ts";

/** Rows of one length, padded at their right, ready for the model. */
export interface Batch {
  readonly rows: number;
  readonly length: number;
  /** [rows · length] */
  readonly inputIds: Uint32Array<ArrayBuffer>;
  /** [rows · length], shifted: `targets[t]` is the label of token t + 1, IGNORE_INDEX where none counts. */
  readonly targets: Int32Array<ArrayBuffer>;
  /** [rows] Tokens before the padding; 0 for a row that only fills the batch. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** Targets that the loss counts. */
  readonly trainedTokens: number;
  /** Tokens without padding. */
  readonly tokens: number;
  /** Tokens of the documents packed into each row; absent where each row is one. */
  readonly documents?: readonly (readonly number[])[];
}

/** A batch's size, and what fills its rows up. */
export interface BatchShape {
  /** Rows without an example are fillers. */
  readonly rows: number;
  /** Tokens per row, such as `bucketLength()` of the longest example. */
  readonly length: number;
  readonly padId: number;
}

/**
 * Puts examples into one batch. Padding is told by `lengths` and IGNORE_INDEX, never by the id: in many models the
 * padding token is the end token, which is trained.
 *
 * @throws {RangeError} If there are more examples than rows, or an example is longer than a row.
 */
export function collate(examples: readonly TokenizedExample[], shape: BatchShape): Batch {
  const { documents: _, ...batch } = collatePacked(examples.map((example) => [example]), shape);
  return batch;
}

/**
 * The same with several examples a row, one behind the other: documents that do not see each other. The last token of
 * one has no target, as the next token is not its own.
 *
 * @throws {RangeError} If there are more packs than rows, or a pack is longer than a row.
 */
export function collatePacked(
  packs: readonly (readonly TokenizedExample[])[],
  { rows, length, padId }: BatchShape,
): Batch {
  if (packs.length > rows) {
    throw new RangeError(`Cannot collate ${packs.length} examples into ${rows} rows`);
  }
  const inputIds = new Uint32Array(rows * length).fill(padId);
  const targets = new Int32Array(rows * length).fill(IGNORE_INDEX);
  const lengths = new Uint32Array(rows);
  const documents: number[][] = Array.from({ length: rows }, () => []);
  for (const [row, examples] of packs.entries()) {
    for (const { inputIds: ids, labels } of examples) {
      const start = lengths[row]!;
      lengths[row] = start + ids.length;
      if (lengths[row] > length) {
        throw new RangeError(`Cannot collate an example of ${lengths[row]} tokens into rows of ${length}`);
      }
      inputIds.set(ids, row * length + start);
      targets.set(labels.subarray(1), row * length + start);
      documents[row]!.push(ids.length);
    }
  }
  return {
    rows,
    length,
    inputIds,
    targets,
    lengths,
    trainedTokens: targets.reduce((count, target) => count + (target === IGNORE_INDEX ? 0 : 1), 0),
    tokens: lengths.reduce((sum, count) => sum + count, 0),
    documents,
  };
}

/**
 * The padded length for rows of n tokens: 16, 32, 64, then multiples of 64, so that few shapes are compiled.
 *
 * @throws {RangeError} If n is not a positive integer.
 */
export function bucketLength(n: number): number {
  if (!Number.isInteger(n) || n < 1) {
    throw new RangeError(`Cannot pad rows of ${n} tokens: a row has at least one`);
  }
  return n <= 16 ? 16 : n <= 32 ? 32 : Math.ceil(n / 64) * 64;
}
