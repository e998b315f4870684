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
}

/**
 * Puts examples into one batch. Padding is told by `lengths` and IGNORE_INDEX, never by the id: in many models the
 * padding token is the end token, which is trained.
 *
 * @param shape.rows Rows of the batch; those without an example are fillers.
 * @param shape.length Tokens per row, such as `bucketLength()` of the longest example.
 * @throws {RangeError} If there are more examples than rows, or an example is longer than a row.
 */
export function collate(
  examples: readonly TokenizedExample[],
  { rows, length, padId }: { readonly rows: number; readonly length: number; readonly padId: number },
): Batch {
  if (examples.length > rows) {
    throw new RangeError(`Cannot collate ${examples.length} examples into ${rows} rows`);
  }
  const inputIds = new Uint32Array(rows * length).fill(padId);
  const targets = new Int32Array(rows * length).fill(IGNORE_INDEX);
  const lengths = new Uint32Array(rows);
  for (const [row, { inputIds: ids, labels }] of examples.entries()) {
    if (ids.length > length) {
      throw new RangeError(`Cannot collate an example of ${ids.length} tokens into rows of ${length}`);
    }
    inputIds.set(ids, row * length);
    targets.set(labels.subarray(1), row * length);
    lengths[row] = ids.length;
  }
  return {
    rows,
    length,
    inputIds,
    targets,
    lengths,
    trainedTokens: targets.reduce((count, target) => count + (target === IGNORE_INDEX ? 0 : 1), 0),
    tokens: lengths.reduce((sum, count) => sum + count, 0),
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
