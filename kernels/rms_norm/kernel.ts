/**
 * Root mean square normalisation (Zhang & Sennrich 2019, arXiv:1910.07467).
 *
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import rowSum from "../lib/row_sum.wgsl" with { type: "text" };
import backwardWeightText from "./backward_weight.wgsl" with { type: "text" };
import backwardText from "./backward.wgsl" with { type: "text" };
import forwardText from "./forward.wgsl" with { type: "text" };

/** y [R, C] = x · rstd · weight; saves rstd [R]. */
export const rmsNormForward = defineKernel({
  name: "rms_norm_forward",
  source: forwardText,
  lib: [rowSum],
  bindings: { y: write(), rstd: write(), x: read(), weight: read() },
  params: { rows: "u32", cols: "u32", eps: "f32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ rows }) => foldGrid(rows),
});

/** dx [R, C] += gradient with respect to x. */
export const rmsNormBackward = defineKernel({
  name: "rms_norm_backward",
  source: backwardText,
  lib: [rowSum],
  bindings: { dx: write(), dy: read(), x: read(), weight: read(), rstd: read() },
  params: { rows: "u32", cols: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ rows }) => foldGrid(rows),
});

/** dweight [C] += gradient with respect to the weight. */
export const rmsNormBackwardWeight = defineKernel({
  name: "rms_norm_backward_weight",
  source: backwardWeightText,
  bindings: { dweight: write(), dy: read(), x: read(), rstd: read() },
  params: { rows: "u32", cols: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ cols }, { WORKGROUP_SIZE }) => [Math.ceil(cols / WORKGROUP_SIZE)],
  iterations: ({ rows }) => rows,
});
