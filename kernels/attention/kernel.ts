/**
 * Causal attention with grouped key/value heads over the keys that `spans` names, without a score matrix
 * (Dao et al. 2022, arXiv:2205.14135). Formulas in `generate.ts`.
 *
 * @module
 */
import { defineKernel, operand, read, write } from "../../src/gpu/kernel.ts";
import { type AttentionTile, backwardKeyValueText, backwardQueryText, forwardText } from "./generate.ts";

const DEFAULT_TILE: AttentionTile = { HEAD_DIM4: 16, ROWS: 2, LANES: 8 };

/** Operations of `perPair` for each width element of each pair of a query and a key that it sees. */
const pairs = (
  batch: number,
  heads: number,
  rowLength: number,
  { HEAD_DIM4 }: AttentionTile,
  perPair: number,
) => batch * heads * (rowLength * (rowLength + 1) / 2) * perPair * 4 * HEAD_DIM4;
const blocks = (rowLength: number, { ROWS, LANES }: AttentionTile) => Math.ceil(rowLength / (ROWS * LANES));

/** out [B, T, H, D], stats [B, H, T, 2] (log-sum-exp in the first place). `batch` rows of `row_length` tokens. */
export const attentionForward = defineKernel({
  name: "attention_forward",
  source: forwardText,
  bindings: { out: write(), stats: write(), q: read(), k: operand(), v: operand(), spans: read("u32") },
  params: {
    batch: "u32",
    row_length: "u32",
    heads: "u32",
    group: "u32",
    k_cols: "u32",
    v_cols: "u32",
    scale: "f32",
  },
  constants: DEFAULT_TILE,
  grid: ({ batch, row_length, heads }, tile) => [blocks(row_length, tile), heads, batch],
  iterations: ({ row_length }) => row_length,
  flops: ({ batch, heads, row_length }, tile) => pairs(batch, heads, row_length, tile, 4),
});

/** dq [B, T, H, D]; writes delta in the second place of stats. */
export const attentionBackwardQuery = defineKernel({
  name: "attention_backward_query",
  source: backwardQueryText,
  bindings: {
    dq: write(),
    stats: write(),
    q: read(),
    out: read(),
    dout: read(),
    k: operand(),
    v: operand(),
    spans: read("u32"),
  },
  params: {
    batch: "u32",
    row_length: "u32",
    heads: "u32",
    group: "u32",
    k_cols: "u32",
    v_cols: "u32",
    scale: "f32",
  },
  constants: DEFAULT_TILE,
  grid: ({ batch, row_length, heads }, tile) => [blocks(row_length, tile), heads, batch],
  iterations: ({ row_length }) => row_length,
  flops: ({ batch, heads, row_length }, tile) => pairs(batch, heads, row_length, tile, 6),
});

/** dk, dv [B, T, G, D]; needs delta in stats. */
export const attentionBackwardKeyValue = defineKernel({
  name: "attention_backward_key_value",
  source: backwardKeyValueText,
  bindings: {
    dk: write(),
    dv: write(),
    k: read(),
    v: read(),
    stats: read(),
    q: operand(),
    dout: operand(),
    spans: read("u32"),
  },
  params: {
    batch: "u32",
    row_length: "u32",
    kv_heads: "u32",
    group: "u32",
    q_cols: "u32",
    dout_cols: "u32",
    scale: "f32",
  },
  constants: DEFAULT_TILE,
  grid: ({ batch, row_length, kv_heads }, tile) => [blocks(row_length, tile), kv_heads, batch],
  iterations: ({ row_length, group }) => row_length * group,
  flops: ({ batch, kv_heads, group, row_length }, tile) =>
    pairs(batch, kv_heads * group, row_length, tile, 8),
});
