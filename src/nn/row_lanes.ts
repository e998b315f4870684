/**
 * How many lanes share a row, by adapter and by the row's width.
 *
 * @module
 */
import type { RowLanes } from "../../kernels/rms_norm/kernel.ts";
import { LOOP_BUDGET } from "../gpu/kernel.ts";

/** Vectors of a shared row that one lane walks over before more lanes share it. */
const VECTORS_A_LANE = 64;
/** Lanes that any adapter runs in one workgroup. */
const MOST_LANES = 256;

/**
 * Lanes for rows of `cols` columns that are walked over `passes` times: as many as the adapter likes, no more than a row
 * has vectors of four, and enough to stay within the loops that one invocation may run.
 */
export function rowLanes(preferred: RowLanes, cols: number, passes = 2): RowLanes {
  const vectors = Math.ceil(cols / 4);
  let lanes = preferred.ROW_LANES;
  while (lanes > 1 && lanes / 2 >= vectors) lanes /= 2;
  const most = lanes > 1 ? VECTORS_A_LANE : Math.floor(LOOP_BUDGET / passes);
  while (lanes < MOST_LANES && vectors / lanes > most) lanes *= 2;
  return { WORKGROUP_SIZE: Math.max(preferred.WORKGROUP_SIZE, lanes), ROW_LANES: lanes };
}
