/**
 * Writes the WGSL of attention for GPUs: the other side comes through workgroup memory, KEYS rows at a time, each read
 * once for all rows of the workgroup. Same formulas, same walk and same names as `lane_rows.ts`.
 *
 * SPLIT lanes share a row and own every SPLIT-th vector of it. A score is the sum of what they find; it goes through
 * `parts`, KEYS of each lane. Barriers stand where all lanes pass: the walk's bounds follow from the workgroup alone.
 *
 * @module
 */
import {
  type AttentionTile,
  BACKWARD_KEY_VALUE_DECLARATIONS,
  BACKWARD_QUERY_DECLARATIONS,
  capFunction,
  FORWARD_DECLARATIONS,
  range,
  rowsOf,
  score,
  slope,
  STAT_FUNCTION,
  total,
} from "./text.ts";

/** Vectors of a row that a lane owns. */
const owned = ({ HEAD_DIM4, SPLIT }: AttentionTile) => range(HEAD_DIM4 / SPLIT);

/** Where the lane's d-th vector lies in a head. */
const vector = (d: number, { SPLIT }: AttentionTile) => `part + ${d * SPLIT}u`;

/** Bytes of workgroup memory: two blocks of KEYS rows, and `scores` parts of a score for each row and lane. */
export const workgroupBytes = ({ HEAD_DIM4, KEYS, LANES }: AttentionTile, scores: number) =>
  KEYS * (2 * 16 * HEAD_DIM4 + 4 * LANES * scores);

/** Workgroup memory for two matrices and as many parts of scores. */
function memory({ HEAD_DIM4, KEYS, LANES }: AttentionTile, matrices: string[], parts: string[]): string[] {
  return [
    ...matrices.map((name) => `var<workgroup> block_${name}: array<vec4f, ${KEYS * HEAD_DIM4}>;`),
    ...parts.map((name) => `var<workgroup> parts_${name}: array<f32, ${KEYS * LANES}>;`),
    "",
  ];
}

/** Names the row of a lane; the last row stands in for those beyond it. */
function mainHead(tile: AttentionTile, t: string): string[] {
  const { LANES, SPLIT } = tile;
  return [
    `@compute @workgroup_size(${LANES})`,
    "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {",
    "  let T = params.row_length;",
    "  let head = group.y;",
    "  let batch = group.z;",
    "  let lane = local.x;",
    `  let part = lane % ${SPLIT}u;`,
    `  let block = group.x * ${rowsOf(tile)}u;`,
    `  let block_end = min(T, block + ${rowsOf(tile)}u);`,
    `  let ${t} = block + lane / ${SPLIT}u;`,
    `  let row = batch * T + min(${t}, T - 1u);`,
    `  let at = head * ${tile.HEAD_DIM4}u;`,
  ];
}

/** Fills the blocks with the rows from `start`; rows beyond the batch row repeat its last and are seen by none. */
function stage({ HEAD_DIM4: D4, KEYS, LANES }: AttentionTile, matrices: string[], col4: string): string[] {
  return [
    `    for (var i = lane; i < ${KEYS * D4}u; i += ${LANES}u) {`,
    `      let place = batch * T + min(start + i / ${D4}u, T - 1u);`,
    ...matrices.map((name) => `      block_${name}[i] = load_${name}(place, ${col4} + i % ${D4}u);`),
    "    }",
    "    workgroupBarrier();",
  ];
}

/** Each lane's part of the products of its row's vectors with the block's rows, for all to read. */
function scoreParts(
  tile: AttentionTile,
  products: readonly { name: string; mine: string; block: string }[],
): string[] {
  const { HEAD_DIM4: D4, KEYS, LANES } = tile;
  return [
    `    for (var j = 0u; j < ${KEYS}u; j++) {`,
    ...products.flatMap(({ name, mine, block }) => [
      `      var ${name} = vec4f(0.0);`,
      ...owned(tile).map((d) =>
        `      ${name} = fma(${mine}_${d}, block_${block}[j * ${D4}u + ${vector(d, tile)}], ${name});`
      ),
      `      parts_${name}[j * ${LANES}u + lane] = ${total(name)};`,
    ]),
    "    }",
    "    workgroupBarrier();",
  ];
}

/** The whole product of row j of the block with this lane's row. */
const whole = (name: string, { SPLIT, LANES }: AttentionTile) =>
  range(SPLIT).map((i) => `parts_${name}[j * ${LANES}u + lane - part + ${i}u]`).join(" + ");

/** The walk of queries over the keys that one of the workgroup's rows sees. */
const walkKeys = ({ KEYS }: AttentionTile) => [
  "  let first = spans[2u * row];",
  `  for (var start = spans[2u * (batch * T + block)]; start < block_end; start += ${KEYS}u) {`,
];

/** The walk of keys over the query heads that share them, and the queries that see one of the workgroup's rows. */
const walkQueries = ({ KEYS }: AttentionTile) => [
  "  let my_end = spans[2u * row + 1u];",
  "  let end = spans[2u * (batch * T + block_end) - 1u];",
  "  for (var h = head * params.group; h < (head + 1u) * params.group; h++) {",
  `  for (var start = block; start < end; start += ${KEYS}u) {`,
];

/** Loads vectors of the lane's row, or sets them to zero. */
const mine = (tile: AttentionTile, keyword: "let" | "var", name: string, value: (at: string) => string) =>
  owned(tile).map((d) => `  ${keyword} ${name}_${d} = ${value(`at + ${vector(d, tile)}`)};`);
const zeros = (tile: AttentionTile, name: string) => mine(tile, "var", name, () => "vec4f(0.0)");

/** sum += weight · row j of a block, vector by vector. */
const add = (tile: AttentionTile, sum: string, weight: string, block: string) =>
  owned(tile).map((d) => {
    const at = `j * ${tile.HEAD_DIM4}u + ${vector(d, tile)}`;
    return `      ${sum}_${d} = fma(vec4f(${weight}), block_${block}[${at}], ${sum}_${d});`;
  });

/** Writes vectors of the lane's row. */
const store = (tile: AttentionTile, to: string, value: (d: number) => string) =>
  owned(tile).map((d) => `    ${to}[to + ${vector(d, tile)}] = ${value(d)};`);

/** Closes a block. */
const BLOCK_DONE = "    workgroupBarrier(); // nobody stages the next block before all have used this one";

/** out_t = Σ_s softmax_s(scale · q_t·k_s) v_s       stats[.., 0] = log Σ_s exp(scale · q_t·k_s) */
export function forwardText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4, KEYS } = tile, capped = score(whole("z", tile), tile);
  return [
    ...FORWARD_DECLARATIONS,
    ...capFunction(tile),
    ...memory(tile, ["k", "v"], ["z"]),
    ...mainHead(tile, "t"),
    `  let kv = (head / params.group) * ${D4}u;`,
    ...mine(tile, "let", "q", (at) => `params.scale * load_q(row, ${at})`),
    ...zeros(tile, "o"),
    "  var m = -3.4e38;",
    "  var sum = 0.0;",
    ...walkKeys(tile),
    ...stage(tile, ["k", "v"], "kv"),
    ...scoreParts(tile, [{ name: "z", mine: "q", block: "k" }]),
    "    var n = m;",
    `    for (var j = 0u; j < ${KEYS}u; j++) {`,
    "      let s = start + j;",
    `      n = select(n, max(n, ${capped}), s >= first && s <= t);`,
    "    }",
    "    let keep = exp(m - n);",
    "    m = n;",
    "    sum *= keep;",
    ...owned(tile).map((d) => `    o_${d} *= keep;`),
    `    for (var j = 0u; j < ${KEYS}u; j++) {`,
    "      let s = start + j;",
    `      let p = select(0.0, exp(min(${capped} - m, 0.0)), s >= first && s <= t);`,
    "      sum += p;",
    ...add(tile, "o", "p", "v"),
    "    }",
    BLOCK_DONE,
    "  }",
    "  if (t < T) {",
    `    let to = (row * params.heads + head) * ${D4}u;`,
    ...store(tile, "out", (d) => `o_${d} / sum`),
    "    if (part == 0u) { stats[2u * ((batch * params.heads + head) * T + t)] = m + log(sum); }",
    "  }",
    "}",
  ].join("\n");
}

/** delta_t = dout_t · out_t, each lane of a row its part; the next to write parts waits at the barrier of a block. */
const deltaOfRow = (tile: AttentionTile) => [
  "  var my_delta = 0.0;",
  ...owned(tile).map((d) => `  my_delta += dot(g_${d}, load_out(row, at + ${vector(d, tile)}));`),
  "  parts_e[lane] = my_delta;",
  "  workgroupBarrier();",
  `  let delta = ${range(tile.SPLIT).map((i) => `parts_e[lane - part + ${i}u]`).join(" + ")};`,
];

/** p and ds = d loss / d (scale·q·k) with row j of the block; far from its log-sum-exp only what is not seen lies. */
const gradients = (
  tile: AttentionTile,
  { sees, lse, delta }: Readonly<Record<"sees" | "lse" | "delta", string>>,
) => [
  `      let x = ${score(whole("z", tile), tile)};`,
  `      let p = select(0.0, exp(min(x - ${lse}, 80.0)), ${sees});`,
  `      let ds = p * (${whole("e", tile)} - ${delta})${slope("x", tile)};`,
];

/** dq_t = scale · Σ_s p_ts (dout_t·v_s − delta_t) k_s; saves delta_t = dout_t · out_t. */
export function backwardQueryText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4, KEYS } = tile;
  return [
    ...BACKWARD_QUERY_DECLARATIONS,
    ...capFunction(tile),
    ...memory(tile, ["k", "v"], ["z", "e"]),
    ...mainHead(tile, "t"),
    `  let kv = (head / params.group) * ${D4}u;`,
    "  let stat = 2u * ((batch * params.heads + head) * T + min(t, T - 1u));",
    ...mine(tile, "let", "q", (at) => `params.scale * load_q(row, ${at})`),
    ...mine(tile, "let", "g", (at) => `load_dout(row, ${at})`),
    ...zeros(tile, "dq"),
    ...deltaOfRow(tile),
    "  let lse = stats[stat];",
    ...walkKeys(tile),
    ...stage(tile, ["k", "v"], "kv"),
    ...scoreParts(tile, [{ name: "z", mine: "q", block: "k" }, { name: "e", mine: "g", block: "v" }]),
    `    for (var j = 0u; j < ${KEYS}u; j++) {`,
    "      let s = start + j;",
    ...gradients(tile, { sees: "s >= first && s <= t", lse: "lse", delta: "delta" }),
    ...add(tile, "dq", "ds", "k"),
    "    }",
    BLOCK_DONE,
    "  }",
    "  if (t < T) {",
    `    let to = (row * params.heads + head) * ${D4}u;`,
    ...store(tile, "dq", (d) => `params.scale * dq_${d}`),
    "    if (part == 0u) { stats[stat + 1u] = delta; }",
    "  }",
    "}",
  ].join("\n");
}

/** dv_s = Σ_t p_ts dout_t        dk_s = scale · Σ_t p_ts (dout_t·v_s − delta_t) q_t */
export function backwardKeyValueText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4, KEYS } = tile;
  return [
    ...BACKWARD_KEY_VALUE_DECLARATIONS,
    ...capFunction(tile),
    ...STAT_FUNCTION,
    ...memory(tile, ["q", "dout"], ["z", "e"]),
    ...mainHead(tile, "s"),
    ...mine(tile, "let", "k", (at) => `params.scale * load_k(row, ${at})`),
    ...mine(tile, "let", "v", (at) => `load_v(row, ${at})`),
    ...zeros(tile, "dk"),
    ...zeros(tile, "dv"),
    ...walkQueries(tile),
    ...stage(tile, ["q", "dout"], `h * ${D4}u`),
    ...scoreParts(tile, [{ name: "z", mine: "k", block: "q" }, { name: "e", mine: "v", block: "dout" }]),
    `    for (var j = 0u; j < ${KEYS}u; j++) {`,
    "      let t = start + j;",
    "      let lse_delta = stat(batch * params.kv_heads * params.group + h, min(t, T - 1u));",
    ...gradients(tile, { sees: "s <= t && t < my_end", lse: "lse_delta.x", delta: "lse_delta.y" }),
    ...add(tile, "dv", "p", "dout"),
    ...add(tile, "dk", "ds", "q"),
    "    }",
    BLOCK_DONE,
    "  }",
    "  }",
    "  if (s < T) {",
    `    let to = (row * params.kv_heads + head) * ${D4}u;`,
    ...store(tile, "dk", (d) => `params.scale * dk_${d}`),
    ...store(tile, "dv", (d) => `dv_${d}`),
    "  }",
    "}",
  ].join("\n");
}
