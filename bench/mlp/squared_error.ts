/**
 * The loss of the small step. Language models need none, so it lives with the benchmark.
 *
 * @module
 */
import rowSum from "../../kernels/lib/row_sum.wgsl" with { type: "text" };
import { defineKernel, read, write } from "../../src/gpu/kernel.ts";
import text from "./squared_error.wgsl" with { type: "text" };

/** totals[0] = mean (y − goal)², dy = its gradient; `count` is the number of values. */
export const squaredError = defineKernel({
  name: "squared_error",
  source: text,
  lib: [rowSum],
  bindings: { totals: write(), dy: write(), y: read(), goal: read() },
  params: { count: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: () => [1],
  iterations: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
