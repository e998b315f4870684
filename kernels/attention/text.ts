/**
 * What the texts of attention share: sizes of a tile, declarations, scores and their cap.
 *
 * @module
 */

/** How attention is divided over lanes; all of it is baked into the text. */
export interface AttentionTile extends Readonly<Record<string, number>> {
  /** Head width in vectors of four. */
  readonly HEAD_DIM4: number;
  /** Lanes of a workgroup. */
  readonly LANES: number;
  /** Rows that one lane owns; 1 where STAGED is 1. */
  readonly ROWS: number;
  /** Rows of the other side that are taken at a time. */
  readonly KEYS: number;
  /** Whether these come through workgroup memory: 0 or 1. */
  readonly STAGED: number;
  /** Lanes that share a row, each with every SPLIT-th vector of the head; divides LANES and HEAD_DIM4; 1 unless STAGED. */
  readonly SPLIT: number;
  /** Whether scores are capped: 0 or 1. */
  readonly SOFTCAP: number;
}

export const range = (n: number) => [...Array(n).keys()];

/** Sum of the four lanes of a vec4 variable. */
export const total = (v: string) => `${v}.x + ${v}.y + ${v}.z + ${v}.w`;

/** Rows of a workgroup. */
export const rowsOf = ({ ROWS, LANES, SPLIT }: AttentionTile) => ROWS * LANES / SPLIT;

/** Parameters of both kernels that walk over keys. */
const QUERY_FIELDS =
  "batch: u32, row_length: u32, heads: u32, group: u32, q_cols: u32, k_cols: u32, v_cols: u32";

export const FORWARD_DECLARATIONS = [
  `struct Params { ${QUERY_FIELDS}, scale: f32, softcap: f32 }`,
  "@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;   // [B, T, H, D]",
  "@group(0) @binding(1) var<storage, read_write> stats: array<f32>;   // [B, H, T, 2]: log-sum-exp, delta",
  "@group(0) @binding(5) var<storage, read> spans: array<u32>;         // [B, T, 2]",
  "@group(0) @binding(6) var<uniform> params: Params;",
  "",
];

export const BACKWARD_QUERY_DECLARATIONS = [
  `struct Params { ${QUERY_FIELDS}, out_cols: u32, dout_cols: u32, scale: f32, softcap: f32 }`,
  "@group(0) @binding(0) var<storage, read_write> dq: array<vec4f>;    // [B, T, H, D]",
  "@group(0) @binding(1) var<storage, read_write> stats: array<f32>;   // [B, H, T, 2]: log-sum-exp, delta",
  "@group(0) @binding(7) var<storage, read> spans: array<u32>;         // [B, T, 2]",
  "@group(0) @binding(8) var<uniform> params: Params;",
  "",
];

export const BACKWARD_KEY_VALUE_DECLARATIONS = [
  "struct Params { batch: u32, row_length: u32, kv_heads: u32, group: u32, k_cols: u32, v_cols: u32, " +
  "stats_cols: u32, q_cols: u32, dout_cols: u32, scale: f32, softcap: f32 }",
  "@group(0) @binding(0) var<storage, read_write> dk: array<vec4f>;    // [B, T, G, D]",
  "@group(0) @binding(1) var<storage, read_write> dv: array<vec4f>;    // [B, T, G, D]",
  "@group(0) @binding(7) var<storage, read> spans: array<u32>;         // [B, T, 2]",
  "@group(0) @binding(8) var<uniform> params: Params;",
  "",
];

/** x = c·tanh(z / c). The argument is kept where no compiler's tanh overflows; there it is ±1 already. */
const CAPPED = [
  "fn capped(z: f32) -> f32 { return params.softcap * tanh(clamp(z / params.softcap, -15.0, 15.0)); }",
  "",
];

/** The function that caps a score, where the tile wants it. */
export const capFunction = ({ SOFTCAP }: AttentionTile) => SOFTCAP ? CAPPED : [];

/** A score from scale·q·k. */
export const score = (z: string, { SOFTCAP }: AttentionTile) => SOFTCAP ? `capped(${z})` : z;

/** d score / d (scale·q·k) as a factor behind a product: 1 − (x / c)². */
export const slope = (x: string, { SOFTCAP }: AttentionTile) =>
  SOFTCAP ? ` * (1.0 - (${x} / params.softcap) * (${x} / params.softcap))` : "";

/** log-sum-exp and delta of query t of head h: two positions lie in one vector of stats [B·H, 2·T]. */
export const STAT_FUNCTION = [
  "fn stat(row: u32, t: u32) -> vec2f {",
  "  let two = load_stats(row, t / 2u);",
  "  return select(two.xy, two.zw, t % 2u == 1u);",
  "}",
  "",
];
