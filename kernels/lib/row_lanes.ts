/**
 * Lanes that work on a row together. Adapters want opposite things: on a GPU neighbouring lanes read neighbouring
 * columns of one row, on a processor that plays GPU a barrier costs more than the sum that it is for.
 *
 * @module
 */
import { foldGrid, type Grid } from "../../src/gpu/kernel.ts";
import rowAlone from "./row_alone.wgsl" with { type: "text" };
import rowMax from "./row_max.wgsl" with { type: "text" };
import rowSum from "./row_sum.wgsl" with { type: "text" };

/**
 * Lanes of a workgroup and how many of them share a row; powers of two, the second no larger than the first.
 *
 * @internal
 */
export interface RowLanes extends Readonly<Record<string, number>> {
  readonly WORKGROUP_SIZE: number;
  readonly ROW_LANES: number;
}

/** What is baked in unless a variant says otherwise: a row a workgroup. */
export const ROW_LANES: RowLanes = { WORKGROUP_SIZE: 64, ROW_LANES: 64 };

/** WGSL of `row_sum(lane, value)` and `row_max(lane, value)`. */
export function rowFunctions({ ROW_LANES }: RowLanes): string {
  return ROW_LANES === 1 ? rowAlone : rowSum + rowMax;
}

/** Workgroups for so many rows. */
export function rowGrid(rows: number, { WORKGROUP_SIZE, ROW_LANES }: RowLanes): Grid {
  return foldGrid(Math.ceil(rows * ROW_LANES / WORKGROUP_SIZE));
}

/** Loop iterations of one lane that walks `passes` times over its share of a row, four columns at a time. */
export function rowIterations(cols: number, passes: number, { ROW_LANES }: RowLanes): number {
  return passes * (Math.ceil(Math.ceil(cols / 4) / ROW_LANES) + Math.log2(ROW_LANES));
}
