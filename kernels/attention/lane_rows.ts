/**
 * Writes the WGSL of attention with an online softmax (Dao et al. 2022), forward and backward, for lanes that own rows.
 *
 * A lane keeps ROWS queries (or keys), their outputs and gradients in registers while it walks over the other side. The
 * number of registers depends on the head's width, hence generated text. No score matrix, no atomics, a fixed order of
 * summation.
 *
 * spans[.., t] = (first key that query t of the batch row sees, one past the last query that sees key t); neither falls
 * along a row, so a workgroup walks from the first of its first row, or to the end of its last.
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

/** Names the rows of a lane: `t` is the position, `row` where it lies; the last row stands in for those beyond it. */
function mainHead(tile: AttentionTile, t: string): string[] {
  const { ROWS, LANES } = tile;
  return [
    `@compute @workgroup_size(${LANES})`,
    "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {",
    "  let T = params.row_length;",
    "  let head = group.y;",
    "  let batch = group.z;",
    `  let block = group.x * ${rowsOf(tile)}u;`,
    `  let block_end = min(T, block + ${rowsOf(tile)}u);`,
    ...range(ROWS).flatMap((r) => [
      `  let ${t}${r} = block + ${r * LANES}u + lane.x;`,
      `  let row${r} = batch * T + min(${t}${r}, T - 1u);`,
    ]),
  ];
}

/** The walk of queries over the keys that one of them sees. */
const walkKeys = (ROWS: number) => [
  ...range(ROWS).map((r) => `  let first${r} = spans[2u * row${r}];`),
  "  for (var s = spans[2u * (batch * T + block)]; s < block_end; s++) {",
  "    let key = batch * T + s;",
  ...range(ROWS).map((r) => `    let sees${r} = s >= first${r} && s <= t${r};`),
];

/**
 * out_t = Σ_s softmax_s(scale · q_t·k_s) v_s       stats[.., 0] = log Σ_s exp(scale · q_t·k_s)
 */
export function forwardText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4 } = tile, dims = range(D4), rows = range(tile.ROWS);
  return [
    ...FORWARD_DECLARATIONS,
    ...capFunction(tile),
    ...mainHead(tile, "t"),
    `  let kv = (head / params.group) * ${D4}u;`,
    ...rows.flatMap((r) => [
      ...dims.map((d) => `  let q${r}_${d} = params.scale * load_q(row${r}, head * ${D4}u + ${d}u);`),
      ...dims.map((d) => `  var o${r}_${d} = vec4f(0.0);`),
      `  var m${r} = -3.4e38;`,
      `  var sum${r} = 0.0;`,
    ]),
    ...walkKeys(tile.ROWS),
    ...rows.map((r) => `    var z${r} = vec4f(0.0);`),
    ...dims.flatMap((d) => [
      `    let k${d} = load_k(key, kv + ${d}u);`,
      ...rows.map((r) => `    z${r} = fma(q${r}_${d}, k${d}, z${r});`),
    ]),
    ...rows.flatMap((r) => [
      `    let x${r} = select(-3.4e38, ${score(total(`z${r}`), tile)}, sees${r});`,
      `    let n${r} = max(m${r}, x${r});`,
      `    let keep${r} = exp(m${r} - n${r});`,
      `    let p${r} = select(0.0, exp(x${r} - n${r}), sees${r});`,
      `    m${r} = n${r};`,
      `    sum${r} = fma(sum${r}, keep${r}, p${r});`,
    ]),
    ...dims.flatMap((d) => [
      `    let v${d} = load_v(key, kv + ${d}u);`,
      ...rows.map((r) => `    o${r}_${d} = fma(vec4f(p${r}), v${d}, o${r}_${d} * keep${r});`),
    ]),
    "  }",
    ...rows.flatMap((r) => [
      `  if (t${r} < T) {`,
      `    let at = (row${r} * params.heads + head) * ${D4}u;`,
      ...dims.map((d) => `    out[at + ${d}u] = o${r}_${d} / sum${r};`),
      `    stats[2u * ((batch * params.heads + head) * T + t${r})] = m${r} + log(sum${r});`,
      "  }",
    ]),
    "}",
  ].join("\n");
}

/**
 * With p_ts = exp(scale · q_t·k_s − lse_t) and delta_t = dout_t · out_t:
 *
 *     dq_t = scale · Σ_s p_ts (dout_t·v_s − delta_t) k_s
 *
 * Saves delta for the keys' kernel.
 */
export function backwardQueryText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4 } = tile, dims = range(D4), rows = range(tile.ROWS);
  return [
    ...BACKWARD_QUERY_DECLARATIONS,
    ...capFunction(tile),
    ...mainHead(tile, "t"),
    `  let kv = (head / params.group) * ${D4}u;`,
    `  let at = head * ${D4}u;`,
    ...rows.flatMap((r) => [
      `  let stat${r} = 2u * ((batch * params.heads + head) * T + min(t${r}, T - 1u));`,
      ...dims.map((d) => `  let q${r}_${d} = params.scale * load_q(row${r}, at + ${d}u);`),
      ...dims.map((d) => `  let g${r}_${d} = load_dout(row${r}, at + ${d}u);`),
      ...dims.map((d) => `  var dq${r}_${d} = vec4f(0.0);`),
      `  var delta${r} = 0.0;`,
      ...dims.map((d) => `  delta${r} += dot(g${r}_${d}, load_out(row${r}, at + ${d}u));`),
      `  let lse${r} = stats[stat${r}];`,
    ]),
    ...walkKeys(tile.ROWS),
    ...rows.map((r) => `    var z${r} = vec4f(0.0);`),
    ...rows.map((r) => `    var e${r} = vec4f(0.0);`),
    ...dims.flatMap((d) => [
      `    let k${d} = load_k(key, kv + ${d}u);`,
      `    let v${d} = load_v(key, kv + ${d}u);`,
      ...rows.flatMap((r) => [
        `    z${r} = fma(q${r}_${d}, k${d}, z${r});`,
        `    e${r} = fma(g${r}_${d}, v${d}, e${r});`,
      ]),
    ]),
    ...rows.flatMap((r) => [
      `    let x${r} = ${score(total(`z${r}`), tile)};`,
      `    let p${r} = select(0.0, exp(x${r} - lse${r}), sees${r});`,
      `    let ds${r} = p${r} * (${total(`e${r}`)} - delta${r})${slope(`x${r}`, tile)};`,
    ]),
    ...dims.flatMap((d) => rows.map((r) => `    dq${r}_${d} = fma(vec4f(ds${r}), k${d}, dq${r}_${d});`)),
    "  }",
    ...rows.flatMap((r) => [
      `  if (t${r} < T) {`,
      `    let to = (row${r} * params.heads + head) * ${D4}u;`,
      ...dims.map((d) => `    dq[to + ${d}u] = params.scale * dq${r}_${d};`),
      `    stats[stat${r} + 1u] = delta${r};`,
      "  }",
    ]),
    "}",
  ].join("\n");
}

/**
 * For key s of one key/value head, over the query heads that share it:
 *
 *     dv_s = Σ_t p_ts dout_t        dk_s = scale · Σ_t p_ts (dout_t·v_s − delta_t) q_t
 */
export function backwardKeyValueText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4 } = tile, dims = range(D4), rows = range(tile.ROWS);
  return [
    ...BACKWARD_KEY_VALUE_DECLARATIONS,
    ...capFunction(tile),
    ...STAT_FUNCTION,
    ...mainHead(tile, "s"),
    `  let at = head * ${D4}u;`,
    ...rows.flatMap((r) => [
      ...dims.map((d) => `  let k${r}_${d} = params.scale * load_k(row${r}, at + ${d}u);`),
      ...dims.map((d) => `  let v${r}_${d} = load_v(row${r}, at + ${d}u);`),
      ...dims.map((d) => `  var dk${r}_${d} = vec4f(0.0);`),
      ...dims.map((d) => `  var dv${r}_${d} = vec4f(0.0);`),
      `  let end${r} = spans[2u * row${r} + 1u];`,
    ]),
    "  let end = spans[2u * (batch * T + block_end) - 1u];",
    "  for (var h = head * params.group; h < (head + 1u) * params.group; h++) {",
    "    for (var t = block; t < end; t++) {",
    "      let query = batch * T + t;",
    "      let lse_delta = stat(batch * params.kv_heads * params.group + h, t);",
    ...rows.map((r) => `      var z${r} = vec4f(0.0);`),
    ...rows.map((r) => `      var e${r} = vec4f(0.0);`),
    ...dims.flatMap((d) => [
      `      let q${d} = load_q(query, h * ${D4}u + ${d}u);`,
      `      let g${d} = load_dout(query, h * ${D4}u + ${d}u);`,
      ...rows.flatMap((r) => [
        `      z${r} = fma(k${r}_${d}, q${d}, z${r});`,
        `      e${r} = fma(v${r}_${d}, g${d}, e${r});`,
      ]),
    ]),
    ...rows.flatMap((r) => [
      `      let x${r} = ${score(total(`z${r}`), tile)};`,
      `      let p${r} = select(0.0, exp(x${r} - lse_delta.x), s${r} <= t && t < end${r});`,
      `      let ds${r} = p${r} * (${total(`e${r}`)} - lse_delta.y)${slope(`x${r}`, tile)};`,
    ]),
    ...dims.flatMap((d) =>
      rows.flatMap((r) => [
        `      dv${r}_${d} = fma(vec4f(p${r}), g${d}, dv${r}_${d});`,
        `      dk${r}_${d} = fma(vec4f(ds${r}), q${d}, dk${r}_${d});`,
      ])
    ),
    "    }",
    "  }",
    ...rows.flatMap((r) => [
      `  if (s${r} < T) {`,
      `    let to = (row${r} * params.kv_heads + head) * ${D4}u;`,
      ...dims.map((d) => `    dk[to + ${d}u] = params.scale * dk${r}_${d};`),
      ...dims.map((d) => `    dv[to + ${d}u] = dv${r}_${d};`),
      "  }",
    ]),
    "}",
  ].join("\n");
}
