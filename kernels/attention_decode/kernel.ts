/**
 * Attention of single tokens over a cache of keys and values: what generation runs for each new token, and for the
 * tokens of a prompt. Rows of any lengths share one dispatch.
 *
 * @module
 */
import { defineKernel, read, write } from "../../src/gpu/kernel.ts";
import rowMax from "../lib/row_max.wgsl" with { type: "text" };
import rowSum from "../lib/row_sum.wgsl" with { type: "text" };
import decodeText from "./decode.wgsl" with { type: "text" };

/** A place outside of the cache: the query sees no key, and its output is zero. */
export const NO_PLACE = 0xffffffff;

/** What is baked in: the head's width in vectors of four, lanes of a workgroup (a power of two), whether scores are capped. */
const CONSTANTS = { HEAD_DIM4: 16, WORKGROUP_SIZE: 64, SOFTCAP: 0 };

/** Loops of one invocation over a full cache row: scores, two halving trees and the values, block by block. */
function iterations(rowLength: number, { HEAD_DIM4, WORKGROUP_SIZE }: typeof CONSTANTS): number {
  const blocks = Math.ceil(rowLength / WORKGROUP_SIZE), owned = Math.ceil(HEAD_DIM4 / WORKGROUP_SIZE);
  return blocks * (1 + HEAD_DIM4 + 2 * Math.log2(WORKGROUP_SIZE) + owned * (1 + WORKGROUP_SIZE)) + owned;
}

/**
 * out [R, H, D] for q [R, H, D] over k, v [B, T, G, D]; places [R] are cache row · T + position, with T = `row_length`.
 * The keys up to each query's own must be in the cache; it sees the last `window` of them, its own included. `softcap`
 * counts where SOFTCAP is 1.
 */
export const attentionDecode = defineKernel({
  name: "attention_decode",
  source: decodeText,
  lib: [rowMax, rowSum],
  bindings: { out: write(), q: read(), k: read(), v: read(), places: read("u32") },
  params: {
    queries: "u32",
    heads: "u32",
    group: "u32",
    row_length: "u32",
    window: "u32",
    scale: "f32",
    softcap: "f32",
  },
  constants: CONSTANTS,
  grid: ({ queries, heads }) => [heads, queries],
  iterations: ({ row_length }, constants) => iterations(row_length, constants),
});
