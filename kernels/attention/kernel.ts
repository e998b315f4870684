/**
 * Attention with grouped key/value heads over the keys that `spans` names, without a score matrix
 * (Dao et al. 2022, arXiv:2205.14135). Formulas in `lane_rows.ts`, for GPUs again in `staged.ts`.
 *
 * @module
 */
import { defineKernel, operand, read, write } from "../../src/gpu/kernel.ts";
import * as laneRows from "./lane_rows.ts";
import * as staged from "./staged.ts";
import { type AttentionTile, rowsOf } from "./text.ts";

export type { AttentionTile } from "./text.ts";

const DEFAULT_TILE: AttentionTile = {
  HEAD_DIM4: 16,
  LANES: 8,
  ROWS: 2,
  KEYS: 1,
  STAGED: 0,
  SPLIT: 1,
  SOFTCAP: 0,
};

/** Operations of `perPair` for each width element of each pair of a query and a key that it sees. */
const pairs = (
  batch: number,
  heads: number,
  rowLength: number,
  { HEAD_DIM4 }: AttentionTile,
  perPair: number,
) => batch * heads * (rowLength * (rowLength + 1) / 2) * perPair * 4 * HEAD_DIM4;

const blocks = (rowLength: number, tile: AttentionTile) => Math.ceil(rowLength / rowsOf(tile));

/** Loop iterations of a walk over a whole batch row; through workgroup memory three loops a key, and the staging. */
const walk = (rowLength: number, { HEAD_DIM4, LANES, KEYS, STAGED }: AttentionTile) =>
  Math.ceil(rowLength / KEYS) * (STAGED ? 1 + 3 * KEYS + Math.ceil(KEYS * HEAD_DIM4 / LANES) : 1);

/** What both kernels over keys take. `softcap` counts where the tile's SOFTCAP is 1. */
const QUERY_PARAMS = {
  batch: "u32",
  row_length: "u32",
  heads: "u32",
  group: "u32",
  q_cols: "u32",
  k_cols: "u32",
  v_cols: "u32",
} as const;

/** out [B, T, H, D], stats [B, H, T, 2] (log-sum-exp in the first place). `batch` rows of `row_length` tokens. */
export const attentionForward = defineKernel({
  name: "attention_forward",
  source: (tile) => (tile.STAGED ? staged : laneRows).forwardText(tile),
  bindings: { out: write(), stats: write(), q: operand(), k: operand(), v: operand(), spans: read("u32") },
  params: { ...QUERY_PARAMS, scale: "f32", softcap: "f32" },
  constants: DEFAULT_TILE,
  grid: ({ batch, row_length, heads }, tile) => [blocks(row_length, tile), heads, batch],
  iterations: ({ row_length }, tile) => walk(row_length, tile),
  flops: ({ batch, heads, row_length }, tile) => pairs(batch, heads, row_length, tile, 4),
});

/** dq [B, T, H, D]; writes delta in the second place of stats. */
export const attentionBackwardQuery = defineKernel({
  name: "attention_backward_query",
  source: (tile) => (tile.STAGED ? staged : laneRows).backwardQueryText(tile),
  bindings: {
    dq: write(),
    stats: write(),
    q: operand(),
    out: operand(),
    dout: operand(),
    k: operand(),
    v: operand(),
    spans: read("u32"),
  },
  params: { ...QUERY_PARAMS, out_cols: "u32", dout_cols: "u32", scale: "f32", softcap: "f32" },
  constants: DEFAULT_TILE,
  grid: ({ batch, row_length, heads }, tile) => [blocks(row_length, tile), heads, batch],
  iterations: ({ row_length }, tile) => walk(row_length, tile),
  flops: ({ batch, heads, row_length }, tile) => pairs(batch, heads, row_length, tile, 6),
});

/** dk, dv [B, T, G, D]; needs delta in stats, which are read as [B·H, 2·T]. */
export const attentionBackwardKeyValue = defineKernel({
  name: "attention_backward_key_value",
  source: (tile) => (tile.STAGED ? staged : laneRows).backwardKeyValueText(tile),
  bindings: {
    dk: write(),
    dv: write(),
    k: operand(),
    v: operand(),
    stats: operand(),
    q: operand(),
    dout: operand(),
    spans: read("u32"),
  },
  params: {
    batch: "u32",
    row_length: "u32",
    kv_heads: "u32",
    group: "u32",
    k_cols: "u32",
    v_cols: "u32",
    stats_cols: "u32",
    q_cols: "u32",
    dout_cols: "u32",
    scale: "f32",
    softcap: "f32",
  },
  constants: DEFAULT_TILE,
  grid: ({ batch, row_length, kv_heads }, tile) => [blocks(row_length, tile), kv_heads, batch],
  iterations: ({ row_length, group }, tile) => group * walk(row_length, tile),
  flops: ({ batch, kv_heads, group, row_length }, tile) =>
    pairs(batch, kv_heads * group, row_length, tile, 8),
});
