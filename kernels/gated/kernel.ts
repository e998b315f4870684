/**
 * Gated activation of the feed-forward block, g(gate) · up (Shazeer 2020, arXiv:2002.05202): SwiGLU or GeGLU by its g.
 *
 * @module
 */
import { defineKernel, foldGrid, type Grid, operand, result } from "../../src/gpu/kernel.ts";
import activationText from "./activation.wgsl" with { type: "text" };
import backwardText from "./backward.wgsl" with { type: "text" };
import forwardText from "./forward.wgsl" with { type: "text" };

/** What ACTIVATION stands for. */
export const ACTIVATIONS = { silu: 0, gelu_tanh: 1 } as const;

const constants = { WORKGROUP_SIZE: 64, ACTIVATION: ACTIVATIONS.silu as number };

/** Workgroups along the columns and down the rows, which are folded where they exceed one side of a grid. */
function grid(rows: number, cols: number, { WORKGROUP_SIZE }: { readonly WORKGROUP_SIZE: number }): Grid {
  const [y, z = 1] = foldGrid(rows);
  return [Math.ceil(cols / 4 / WORKGROUP_SIZE), y, z];
}

/** y [R, F] = g(gate) · up */
export const gatedForward = defineKernel({
  name: "gated_forward",
  source: forwardText,
  lib: [activationText],
  bindings: { y: result(), gate: operand(), up: operand() },
  params: { rows: "u32", y_cols: "u32", gate_cols: "u32", up_cols: "u32" },
  constants,
  grid: ({ rows, y_cols }, constants) => grid(rows, y_cols, constants),
});

/** dgate and dup [R, F] for dy [R, F] */
export const gatedBackward = defineKernel({
  name: "gated_backward",
  source: backwardText,
  lib: [activationText],
  bindings: { dgate: result(), dup: result(), gate: operand(), up: operand(), dy: operand() },
  params: {
    rows: "u32",
    dgate_cols: "u32",
    dup_cols: "u32",
    gate_cols: "u32",
    up_cols: "u32",
    dy_cols: "u32",
  },
  constants,
  grid: ({ rows, dgate_cols }, constants) => grid(rows, dgate_cols, constants),
});
