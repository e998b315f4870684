/**
 * Columns of a matrix: taken apart and put together, where one product computes several things side by side; and summed,
 * for the gradient of a bias.
 *
 * @module
 */
import { defineKernel, foldGrid, LOOP_BUDGET, read, write } from "../../src/gpu/kernel.ts";
import copyText from "./copy.wgsl" with { type: "text" };
import sumText from "./sum.wgsl" with { type: "text" };

const constants = { WORKGROUP_SIZE: 64 };

/** y[:, y_first..] = x[:, x_first..] for `cols` columns. */
export const copyColumns = defineKernel({
  name: "copy_columns",
  source: copyText,
  bindings: { y: write(), x: read() },
  params: { rows: "u32", cols: "u32", y_cols: "u32", y_first: "u32", x_cols: "u32", x_first: "u32" },
  constants,
  grid: ({ rows, cols }, { WORKGROUP_SIZE }) => foldGrid(Math.ceil(rows * cols / WORKGROUP_SIZE)),
});

/** Most rows that one launch of {@link sumColumns} takes. */
export const MOST_SUMMED_ROWS = LOOP_BUDGET;

/** sums[c] += Σ_r x[first_row + r, c] for `rows` rows. */
export const sumColumns = defineKernel({
  name: "sum_columns",
  source: sumText,
  bindings: { sums: write(), x: read() },
  params: { first_row: "u32", rows: "u32", cols: "u32" },
  constants,
  grid: ({ cols }, { WORKGROUP_SIZE }) => foldGrid(Math.ceil(cols / WORKGROUP_SIZE)),
  iterations: ({ rows }) => rows,
});
