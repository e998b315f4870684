/**
 * Global L2 norm over all gradients, the clipping coefficient, and the search for values that are not finite.
 *
 * @module
 */
import { defineKernel, read, write } from "../../src/gpu/kernel.ts";
import nonFinite from "../lib/non_finite.wgsl" with { type: "text" };
import rowSum from "../lib/row_sum.wgsl" with { type: "text" };
import finishText from "./finish.wgsl" with { type: "text" };
import partialText from "./partial.wgsl" with { type: "text" };

/** Partial sums that one pool gives. */
export const PARTIALS = 128;

/** partials[first_partial ..] = sums of squares; `vectors` counts groups of four gradients. */
export const gradNormPartial = defineKernel({
  name: "grad_norm_partial",
  source: partialText,
  lib: [nonFinite, rowSum],
  bindings: { partials: write(), flags: write("atomic"), grads: read() },
  params: { vectors: "u32", first_partial: "u32" },
  constants: { WORKGROUP_SIZE: 64, PARTIALS },
  grid: (_params, { PARTIALS }) => [PARTIALS],
  iterations: ({ vectors }, { PARTIALS, WORKGROUP_SIZE }) => Math.ceil(vectors / (PARTIALS * WORKGROUP_SIZE)),
});

/** totals[1] = norm, totals[2] = clipping coefficient. */
export const gradNormFinish = defineKernel({
  name: "grad_norm_finish",
  source: finishText,
  lib: [nonFinite, rowSum],
  bindings: { totals: write(), flags: write("atomic"), partials: read() },
  params: { count: "u32", max_norm: "f32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: () => [1],
});
