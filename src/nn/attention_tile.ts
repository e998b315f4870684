/**
 * How attention is divided over lanes on an adapter, for heads of any width.
 *
 * @module
 */
import type { AttentionTile } from "../../kernels/attention/kernel.ts";

/** Vectors of four that a row takes in registers, for each vector of its head. */
const OWNED = {
  /** query, output */
  forward: 2,
  /** query, its gradient, gradient of the output */
  backwardQuery: 3,
  /** key, value and their gradients */
  backwardKeyValue: 4,
} as const;

export type AttentionPass = keyof typeof OWNED;

/**
 * An adapter's choice.
 *
 * @internal
 */
export interface AttentionLanes {
  readonly LANES: number;
  /** Vectors of four that one lane keeps at most, if it can: more rows a lane read the other side less often. */
  readonly laneVectors: number;
  /** Keys that a lane with queries takes at a step; counts where `staged` is false. */
  readonly stepKeys: number;
  /** Whether the other side comes through workgroup memory, in blocks that all lanes share. */
  readonly staged: boolean;
}

/** Rows of the other side in workgroup memory at most, and vectors of one matrix: 8 KiB for two. */
const STAGED_ROWS = 8, STAGED_VECTORS = 256;
/** More rows than this of one lane gain nothing, and compile for long. */
const MOST_ROWS = 4;

/** The tile for heads of a width: as many rows a lane, or as few lanes a row, as the vectors allow. */
export function attentionTile(
  lanes: AttentionLanes,
  pass: AttentionPass,
  { headDim, softcap }: { readonly headDim: number; readonly softcap: number },
): AttentionTile {
  const { LANES, laneVectors, stepKeys } = lanes, HEAD_DIM4 = headDim / 4, SOFTCAP = softcap > 0 ? 1 : 0;
  const perRow = OWNED[pass] * HEAD_DIM4, shared = { HEAD_DIM4, LANES, SOFTCAP };
  if (lanes.staged) {
    const KEYS = Math.max(1, Math.min(STAGED_ROWS, Math.floor(STAGED_VECTORS / HEAD_DIM4)));
    return { ...shared, ROWS: 1, KEYS, STAGED: 1, SPLIT: lanesOfRow(perRow, HEAD_DIM4, lanes) };
  }
  let ROWS = 1; // powers of two only: three rows a lane are slower than two or four
  while (2 * ROWS <= MOST_ROWS && 2 * ROWS * perRow <= laneVectors) ROWS *= 2;
  // two queries at a step gain a key's lane nothing: its state is read and written for each product anyway
  const KEYS = pass === "backwardKeyValue" ? 1 : stepKeys;
  return { ...shared, ROWS, KEYS, STAGED: 0, SPLIT: 1 };
}

/** The fewest lanes, a power of two that divides the head, whose registers hold one row; all there are, if none do. */
function lanesOfRow(perRow: number, headDim4: number, { LANES, laneVectors }: AttentionLanes): number {
  let split = 1;
  while (perRow / split > laneVectors && headDim4 % (2 * split) === 0 && 2 * split <= LANES) split *= 2;
  return split;
}
