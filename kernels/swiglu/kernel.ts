/**
 * SwiGLU, the gated activation of the feed-forward block (Shazeer 2020, arXiv:2002.05202).
 *
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import backwardText from "./backward.wgsl" with { type: "text" };
import forwardText from "./forward.wgsl" with { type: "text" };

const grid = ({ count }: { count: number }, { WORKGROUP_SIZE }: { WORKGROUP_SIZE: number }) =>
  foldGrid(Math.ceil(count / WORKGROUP_SIZE));

/** y = silu(gate) · up */
export const swigluForward = defineKernel({
  name: "swiglu_forward",
  source: forwardText,
  bindings: { y: write(), gate: read(), up: read() },
  params: { count: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid,
});

/** Overwrites gate by dgate and up by dup. */
export const swigluBackward = defineKernel({
  name: "swiglu_backward",
  source: backwardText,
  bindings: { gate: write(), up: write(), dy: read() },
  params: { count: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid,
});
