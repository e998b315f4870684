/**
 * Root mean square normalisation (Zhang & Sennrich 2019, arXiv:1910.07467) of whole rows or of each of their heads.
 *
 * @module
 */
import { defineKernel, operand, read, result, write } from "../../src/gpu/kernel.ts";
import { ROW_LANES, rowFunctions, rowGrid, rowIterations, type RowLanes } from "../lib/row_lanes.ts";
import backwardWeightText from "./backward_weight.wgsl" with { type: "text" };
import backwardText from "./backward.wgsl" with { type: "text" };
import forwardText from "./forward.wgsl" with { type: "text" };

export type { RowLanes };

/** y [R, H·C] = x · rstd · (offset + weight [C]); saves rstd [R, H]. Gemma's norms have an offset of 1. */
export const rmsNormForward = defineKernel({
  name: "rms_norm_forward",
  source: (lanes: RowLanes) => rowFunctions(lanes) + forwardText,
  bindings: { y: result(), rstd: write(), x: operand(), weight: operand() },
  params: {
    rows: "u32",
    heads: "u32",
    y_cols: "u32",
    x_cols: "u32",
    weight_cols: "u32",
    offset: "f32",
    eps: "f32",
  },
  constants: ROW_LANES,
  grid: ({ rows, heads }, lanes) => rowGrid(rows * heads, lanes),
  iterations: ({ weight_cols }, lanes) => rowIterations(weight_cols, 2, lanes),
});

/**
 * dx [R, H·C] = gradient with respect to x, plus the addend where ADDEND is 1. Where it is 0, any operand of dx's shape
 * can stand in for it; it is not read.
 */
export const rmsNormBackward = defineKernel({
  name: "rms_norm_backward",
  source: (constants: RowLanes & { readonly ADDEND: number }) => rowFunctions(constants) + backwardText,
  bindings: {
    dx: result(),
    dy: operand(),
    x: operand(),
    weight: operand(),
    addend: operand(),
    rstd: read(),
  },
  params: {
    rows: "u32",
    heads: "u32",
    dx_cols: "u32",
    dy_cols: "u32",
    x_cols: "u32",
    weight_cols: "u32",
    addend_cols: "u32",
    offset: "f32",
  },
  constants: { ...ROW_LANES, ADDEND: 1 },
  grid: ({ rows, heads }, lanes) => rowGrid(rows * heads, lanes),
  iterations: ({ weight_cols }, lanes) => rowIterations(weight_cols, 2, lanes),
});

/** dweight [C] += gradient with respect to the weight from `rows` rows; more rows than one launch may loop over take several. */
export const rmsNormBackwardWeight = defineKernel({
  name: "rms_norm_backward_weight",
  source: backwardWeightText,
  bindings: { dweight: write(), dy: operand(), x: operand(), rstd: read() },
  params: { first_row: "u32", rows: "u32", heads: "u32", cols: "u32", dy_cols: "u32", x_cols: "u32" },
  constants: { WORKGROUP_SIZE: 8 },
  grid: ({ cols }, { WORKGROUP_SIZE }) => [Math.ceil(cols / 4 / WORKGROUP_SIZE)],
  iterations: ({ rows, heads }) => rows * (heads + 1) + 4,
});
