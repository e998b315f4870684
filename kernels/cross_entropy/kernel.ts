/**
 * Cross-entropy over a sharded vocabulary, a chunk of tokens at a time: log-sum-exp shard by shard, then
 * gradients shard by shard from the same logits. The logits of a whole batch never exist.
 *
 * @module
 */
import { defineKernel, read, write } from "../../src/gpu/kernel.ts";
import nonFinite from "../lib/non_finite.wgsl" with { type: "text" };
import rowMax from "../lib/row_max.wgsl" with { type: "text" };
import rowSum from "../lib/row_sum.wgsl" with { type: "text" };
import gradText from "./grad.wgsl" with { type: "text" };
import lossText from "./loss.wgsl" with { type: "text" };
import statsText from "./stats.wgsl" with { type: "text" };

/** Target of a filler row. */
export const NO_TARGET = 0xffffffff;

const shardParams = { rows: "u32", shard_cols: "u32", first_id: "u32", first_row: "u32" } as const;

/** Updates state [rows, 3] = (max, sum of exp, target's logit) by one shard of logits. */
export const crossEntropyStats = defineKernel({
  name: "cross_entropy_stats",
  source: statsText,
  lib: [nonFinite, rowMax, rowSum],
  bindings: { state: write(), flags: write("atomic"), logits: read(), targets: read("u32") },
  params: shardParams,
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ rows }) => [rows],
});

/** Overwrites one shard of logits by their gradients. */
export const crossEntropyGrad = defineKernel({
  name: "cross_entropy_grad",
  source: gradText,
  bindings: { logits: write(), state: read(), targets: read("u32"), scalars: read() },
  params: shardParams,
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ rows }) => [rows],
});

/** totals[0] += summed loss of the chunk. */
export const crossEntropyLoss = defineKernel({
  name: "cross_entropy_loss",
  source: lossText,
  bindings: { totals: write(), state: read(), targets: read("u32") },
  params: { rows: "u32", first_row: "u32" },
  constants: {},
  grid: () => [1],
  iterations: ({ rows }) => rows,
});
