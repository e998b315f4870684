/**
 * Cross-entropy over a sharded vocabulary, a chunk of tokens at a time: log-sum-exp shard by shard, then
 * gradients shard by shard from the same logits. The logits of a whole batch never exist.
 *
 * @module
 */
import { defineKernel, foldGrid, operand, read, result, write } from "../../src/gpu/kernel.ts";
import nonFinite from "../lib/non_finite.wgsl" with { type: "text" };
import { ROW_LANES, rowFunctions, rowGrid, rowIterations, type RowLanes } from "../lib/row_lanes.ts";
import capText from "./cap.wgsl" with { type: "text" };
import cappedText from "./capped.wgsl" with { type: "text" };
import gradText from "./grad.wgsl" with { type: "text" };
import lossText from "./loss.wgsl" with { type: "text" };
import statsText from "./stats.wgsl" with { type: "text" };

/** Target of a filler row. */
export const NO_TARGET = 0xffffffff;

/** SOFTCAP is 1 where logits are capped, z = cap · tanh(l / cap), before the softmax. */
const constants = { ...ROW_LANES, SOFTCAP: 0 };

/** Updates state [rows, 3] = (max, sum of exp, target's logit) by one shard of logits. */
export const crossEntropyStats = defineKernel({
  name: "cross_entropy_stats",
  source: (lanes: RowLanes & { readonly SOFTCAP: number }) => rowFunctions(lanes) + statsText,
  lib: [nonFinite, cappedText],
  bindings: { state: write(), flags: write("atomic"), logits: operand(), targets: read("u32") },
  params: { rows: "u32", logits_cols: "u32", first_id: "u32", first_row: "u32", cap: "f32" },
  constants,
  grid: ({ rows }, lanes) => rowGrid(rows, lanes),
  iterations: ({ logits_cols }, lanes) => rowIterations(logits_cols, 2, lanes),
});

/** Gradients of one shard of logits. */
export const crossEntropyGrad = defineKernel({
  name: "cross_entropy_grad",
  source: gradText,
  lib: [cappedText],
  bindings: {
    dlogits: result(),
    logits: operand(),
    state: read(),
    targets: read("u32"),
    scalars: read(),
  },
  params: {
    rows: "u32",
    dlogits_cols: "u32",
    logits_cols: "u32",
    first_id: "u32",
    first_row: "u32",
    cap: "f32",
  },
  constants,
  grid: ({ rows }, lanes) => rowGrid(rows, lanes),
  iterations: ({ logits_cols }, lanes) => rowIterations(logits_cols, 1, lanes),
});

/** y [R, V] = cap · tanh(x / cap) */
export const softcap = defineKernel({
  name: "softcap",
  source: capText,
  lib: [cappedText],
  bindings: { y: result(), x: operand() },
  params: { rows: "u32", y_cols: "u32", x_cols: "u32", cap: "f32" },
  constants: { WORKGROUP_SIZE: 64, SOFTCAP: 1 },
  grid: ({ rows, y_cols }, { WORKGROUP_SIZE }) => {
    const [y, z = 1] = foldGrid(rows);
    return [Math.ceil(y_cols / 4 / WORKGROUP_SIZE), y, z];
  },
});

/** totals[0] += summed loss of the chunk; totals[3] += targets of it that have the largest logit. */
export const crossEntropyLoss = defineKernel({
  name: "cross_entropy_loss",
  source: lossText,
  bindings: { totals: write(), state: read(), targets: read("u32") },
  params: { rows: "u32", first_row: "u32" },
  constants: {},
  grid: () => [1],
  iterations: ({ rows }) => rows,
});
