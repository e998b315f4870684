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

/** out_t = Σ_s softmax_s(scale · q_t·k_s) v_s       stats[.., 0] = log Σ_s exp(scale · q_t·k_s) */
export function forwardText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4, KEYS } = tile, dims = owned(tile);
  const capped = score(whole("z", tile), tile);
  return [
    ...FORWARD_DECLARATIONS,
    ...capFunction(tile),
    ...memory(tile, ["k", "v"], ["z"]),
    ...mainHead(tile, "t"),
    `  let kv = (head / params.group) * ${D4}u;`,
    `  let at = head * ${D4}u;`,
    ...dims.map((d) => `  let q_${d} = params.scale * load_q(row, at + ${vector(d, tile)});`),
    ...dims.map((d) => `  var o_${d} = vec4f(0.0);`),
    "  var m = -3.4e38;",
    "  var sum = 0.0;",
    "  let first = spans[2u * row];",
    `  for (var start = spans[2u * (batch * T + block)]; start < block_end; start += ${KEYS}u) {`,
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
    ...dims.map((d) => `    o_${d} *= keep;`),
    `    for (var j = 0u; j < ${KEYS}u; j++) {`,
    "      let s = start + j;",
    "      let sees = s >= first && s <= t;",
    `      let p = select(0.0, exp(min(${capped} - m, 0.0)), sees);`,
    "      sum += p;",
    ...dims.map((d) => `      o_${d} = fma(vec4f(p), block_v[j * ${D4}u + ${vector(d, tile)}], o_${d});`),
    "    }",
    "    workgroupBarrier(); // nobody stages the next block before all have used this one",
    "  }",
    "  if (t < T) {",
    `    let to = (row * params.heads + head) * ${D4}u;`,
    ...dims.map((d) => `    out[to + ${vector(d, tile)}] = o_${d} / sum;`),
    "    if (part == 0u) { stats[2u * ((batch * params.heads + head) * T + t)] = m + log(sum); }",
    "  }",
    "}",
  ].join("\n");
}

/** dq_t = scale · Σ_s p_ts (dout_t·v_s − delta_t) k_s; saves delta_t = dout_t · out_t. */
export function backwardQueryText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4, KEYS, SPLIT } = tile, dims = owned(tile);
  return [
    ...BACKWARD_QUERY_DECLARATIONS,
    ...capFunction(tile),
    ...memory(tile, ["k", "v"], ["z", "e"]),
    ...mainHead(tile, "t"),
    `  let kv = (head / params.group) * ${D4}u;`,
    `  let at = head * ${D4}u;`,
    "  let stat = 2u * ((batch * params.heads + head) * T + min(t, T - 1u));",
    ...dims.map((d) => `  let q_${d} = params.scale * load_q(row, at + ${vector(d, tile)});`),
    ...dims.map((d) => `  let g_${d} = load_dout(row, at + ${vector(d, tile)});`),
    ...dims.map((d) => `  var dq_${d} = vec4f(0.0);`),
    "  var my_delta = 0.0;",
    ...dims.map((d) => `  my_delta += dot(g_${d}, load_out(row, at + ${vector(d, tile)}));`),
    "  parts_e[lane] = my_delta;",
    "  workgroupBarrier();",
    `  let delta = ${range(SPLIT).map((i) => `parts_e[lane - part + ${i}u]`).join(" + ")};`,
    "  let lse = stats[stat];",
    "  let first = spans[2u * row];",
    `  for (var start = spans[2u * (batch * T + block)]; start < block_end; start += ${KEYS}u) {`,
    ...stage(tile, ["k", "v"], "kv"),
    ...scoreParts(tile, [{ name: "z", mine: "q", block: "k" }, { name: "e", mine: "g", block: "v" }]),
    `    for (var j = 0u; j < ${KEYS}u; j++) {`,
    "      let s = start + j;",
    `      let x = ${score(whole("z", tile), tile)};`,
    "      let p = select(0.0, exp(min(x - lse, 80.0)), s >= first && s <= t);",
    `      let ds = p * (${whole("e", tile)} - delta)${slope("x", tile)};`,
    ...dims.map((d) => `      dq_${d} = fma(vec4f(ds), block_k[j * ${D4}u + ${vector(d, tile)}], dq_${d});`),
    "    }",
    "    workgroupBarrier(); // nobody stages the next block before all have used this one",
    "  }",
    "  if (t < T) {",
    `    let to = (row * params.heads + head) * ${D4}u;`,
    ...dims.map((d) => `    dq[to + ${vector(d, tile)}] = params.scale * dq_${d};`),
    "    if (part == 0u) { stats[stat + 1u] = delta; }",
    "  }",
    "}",
  ].join("\n");
}

/** dv_s = Σ_t p_ts dout_t        dk_s = scale · Σ_t p_ts (dout_t·v_s − delta_t) q_t */
export function backwardKeyValueText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4, KEYS } = tile, dims = owned(tile);
  return [
    ...BACKWARD_KEY_VALUE_DECLARATIONS,
    ...capFunction(tile),
    ...STAT_FUNCTION,
    ...memory(tile, ["q", "dout"], ["z", "e"]),
    ...mainHead(tile, "s"),
    `  let at = head * ${D4}u;`,
    ...dims.map((d) => `  let k_${d} = params.scale * load_k(row, at + ${vector(d, tile)});`),
    ...dims.map((d) => `  let v_${d} = load_v(row, at + ${vector(d, tile)});`),
    ...dims.map((d) => `  var dk_${d} = vec4f(0.0);`),
    ...dims.map((d) => `  var dv_${d} = vec4f(0.0);`),
    "  let my_end = spans[2u * row + 1u];",
    "  let end = spans[2u * (batch * T + block_end) - 1u];",
    "  for (var h = head * params.group; h < (head + 1u) * params.group; h++) {",
    `  for (var start = block; start < end; start += ${KEYS}u) {`,
    ...stage(tile, ["q", "dout"], `h * ${D4}u`),
    ...scoreParts(tile, [{ name: "z", mine: "k", block: "q" }, { name: "e", mine: "v", block: "dout" }]),
    `    for (var j = 0u; j < ${KEYS}u; j++) {`,
    "      let t = start + j;",
    "      let lse_delta = stat(batch * params.kv_heads * params.group + h, min(t, T - 1u));",
    `      let x = ${score(whole("z", tile), tile)};`,
    "      let p = select(0.0, exp(min(x - lse_delta.x, 80.0)), s <= t && t < my_end);",
    `      let ds = p * (${whole("e", tile)} - lse_delta.y)${slope("x", tile)};`,
    ...dims.flatMap((d) => [
      `      dv_${d} = fma(vec4f(p), block_dout[j * ${D4}u + ${vector(d, tile)}], dv_${d});`,
      `      dk_${d} = fma(vec4f(ds), block_q[j * ${D4}u + ${vector(d, tile)}], dk_${d});`,
    ]),
    "    }",
    "    workgroupBarrier(); // nobody stages the next block before all have used this one",
    "  }",
    "  }",
    "  if (s < T) {",
    `    let to = (row * params.kv_heads + head) * ${D4}u;`,
    ...dims.map((d) => `    dk[to + ${vector(d, tile)}] = params.scale * dk_${d};`),
    ...dims.map((d) => `    dv[to + ${vector(d, tile)}] = dv_${d};`),
    "  }",
    "}",
  ].join("\n");
}
