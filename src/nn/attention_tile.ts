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

/** An adapter's choice. */
export interface AttentionLanes {
  readonly LANES: number;
  /** Vectors of four that one lane keeps at most, if it can: more rows a lane read the other side less often. */
  readonly laneVectors: number;
  /** Whether the other side comes through workgroup memory, in blocks that all lanes share. */
  readonly staged: boolean;
}

/** Rows of the other side in workgroup memory at most, and vectors of one matrix: 8 KiB for two. */
const STAGED_ROWS = 8, STAGED_VECTORS = 256;
/** More rows than this of one lane gain nothing, and compile for long. */
const MOST_ROWS = 4;

/** The tile for heads of a width: as many rows a lane, or as few lanes a row, as the vectors allow. */
export function attentionTile(
  { LANES, laneVectors, staged }: AttentionLanes,
  pass: AttentionPass,
  { headDim, softcap }: { readonly headDim: number; readonly softcap: number },
): AttentionTile {
  const HEAD_DIM4 = headDim / 4, SOFTCAP = softcap > 0 ? 1 : 0;
  const fit = Math.floor(laneVectors / (OWNED[pass] * HEAD_DIM4));
  if (!staged) {
    return { HEAD_DIM4, LANES, ROWS: Math.min(Math.max(fit, 1), MOST_ROWS), KEYS: 0, SPLIT: 1, SOFTCAP };
  }
  const KEYS = Math.max(1, Math.min(STAGED_ROWS, Math.floor(STAGED_VECTORS / HEAD_DIM4)));
  let SPLIT = 1;
  while (
    OWNED[pass] * HEAD_DIM4 / SPLIT > laneVectors && HEAD_DIM4 % (2 * SPLIT) === 0 && 2 * SPLIT <= LANES
  ) {
    SPLIT *= 2;
  }
  return { HEAD_DIM4, LANES, ROWS: 1, KEYS, SPLIT, SOFTCAP };
}
