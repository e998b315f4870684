/**
 * DoRA: each output of a linear map has a trained magnitude, the update turns its direction alone.
 *
 * @see Liu et al. 2024, arXiv:2402.09353.
 * @module
 */
import { defineKernel, foldGrid, LOOP_BUDGET, operand, read, write } from "../../src/gpu/kernel.ts";
import { ROW_LANES, rowFunctions, rowGrid, rowIterations, type RowLanes } from "../lib/row_lanes.ts";
import backwardMagnitudeText from "./backward_magnitude.wgsl" with { type: "text" };
import gainText from "./gain.wgsl" with { type: "text" };
import normsText from "./norms.wgsl" with { type: "text" };
import rowSquaresText from "./row_squares.wgsl" with { type: "text" };

const constants = { WORKGROUP_SIZE: 64 };

/** squares [O] = Σ_c w [O, I]² */
export const rowSquares = defineKernel({
  name: "dora_row_squares",
  source: (lanes: RowLanes) => rowFunctions(lanes) + rowSquaresText,
  bindings: { squares: write(), w: operand() },
  params: { rows: "u32", w_cols: "u32" },
  constants: ROW_LANES,
  grid: ({ rows }, lanes) => rowGrid(rows, lanes),
  iterations: ({ w_cols }, lanes) => rowIterations(w_cols, 1, lanes),
});

/** norms [O] = ‖W + s·B·A‖ of each row, gains [O] = magnitude / norms; t [rank, O] = 2·A·Wᵀ + s·A·Aᵀ·Bᵀ. */
export const doraNorms = defineKernel({
  name: "dora_norms",
  source: normsText,
  bindings: { norms: write(), gains: write(), squares: read(), magnitude: read(), b: read(), t: read() },
  params: { rows: "u32", rank: "u32", scaling: "f32" },
  constants,
  grid: ({ rows }, { WORKGROUP_SIZE }) => foldGrid(Math.ceil(rows / WORKGROUP_SIZE)),
  iterations: ({ rank }) => rank,
});

/** y [R, C] = gains [C] · z + bias [C] + addend [R, C]. Where BIAS or ADDEND is 0, any tensor stands in; it is not read. */
export const doraGain = defineKernel({
  name: "dora_gain",
  source: gainText,
  bindings: { y: write(), z: read(), gains: read(), bias: read(), addend: read() },
  params: { rows: "u32", cols: "u32" },
  constants: { ...constants, BIAS: 1, ADDEND: 1 },
  grid: ({ rows, cols }, { WORKGROUP_SIZE }) => foldGrid(Math.ceil(rows * cols / WORKGROUP_SIZE)),
});

/** Most rows that one launch of {@link doraBackwardMagnitude} takes. */
export const MOST_MAGNITUDE_ROWS = LOOP_BUDGET;

/** dmagnitude [C] += Σ_r dy·z / norms from `rows` rows. */
export const doraBackwardMagnitude = defineKernel({
  name: "dora_backward_magnitude",
  source: backwardMagnitudeText,
  bindings: { dmagnitude: write(), dy: read(), z: read(), norms: read() },
  params: { first_row: "u32", rows: "u32", cols: "u32" },
  constants,
  grid: ({ cols }, { WORKGROUP_SIZE }) => foldGrid(Math.ceil(cols / WORKGROUP_SIZE)),
  iterations: ({ rows }) => rows,
});
