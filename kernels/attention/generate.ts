/**
 * Writes the WGSL of causal attention with an online softmax (Dao et al. 2022), forward and backward.
 *
 * A lane owns whole rows: its query (or key), its output and its gradients stay in registers while it walks over the
 * other side. The number of registers depends on the head's width, hence generated text. No score matrix, no
 * atomics, a fixed order of summation.
 *
 * spans[.., t] = (first key that query t of the batch row sees, one past the last query that sees key t); neither
 * falls along a row. A workgroup walks from the first of its first row, or to the end of its last.
 *
 * @module
 */

/** Head width in vectors of four, rows that one lane owns, lanes of a workgroup. */
export interface AttentionTile extends Readonly<Record<string, number>> {
  readonly HEAD_DIM4: number;
  readonly ROWS: number;
  readonly LANES: number;
}

const range = (n: number) => [...Array(n).keys()];

/** Sum of the four lanes of a vec4 variable. */
const total = (v: string) => `${v}.x + ${v}.y + ${v}.z + ${v}.w`;

function mainHead({ ROWS, LANES }: AttentionTile, row: string): string[] {
  return [
    `@compute @workgroup_size(${LANES})`,
    "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {",
    "  let T = params.row_length;",
    "  let head = group.y;",
    "  let batch = group.z;",
    ...range(ROWS).map((r) => `  let ${row}${r} = group.x * ${ROWS * LANES}u + ${r * LANES}u + lane.x;`),
  ];
}

/**
 * out_t = Σ_s softmax_s(scale · q_t·k_s) v_s       stats[.., 0] = log Σ_s exp(scale · q_t·k_s)
 */
export function forwardText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4, ROWS, LANES } = tile;
  const dims = range(D4), rows = range(ROWS);
  return [
    "struct Params { batch: u32, row_length: u32, heads: u32, group: u32, k_cols: u32, v_cols: u32, scale: f32 }",
    "@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;   // [B, T, H, D]",
    "@group(0) @binding(1) var<storage, read_write> stats: array<f32>;   // [B, H, T, 2]: log-sum-exp, delta",
    "@group(0) @binding(2) var<storage, read> q: array<vec4f>;           // [B, T, H, D]",
    "@group(0) @binding(5) var<storage, read> spans: array<u32>;         // [B, T, 2]",
    "@group(0) @binding(6) var<uniform> params: Params;",
    "",
    ...mainHead(tile, "t"),
    `  let kv = (head / params.group) * ${D4}u;`,
    ...rows.flatMap((r) => [
      `  let at${r} = ((batch * T + t${r}) * params.heads + head) * ${D4}u;`,
      ...dims.map((d) => `  let q${r}_${d} = params.scale * q[at${r} + ${d}u];`),
      ...dims.map((d) => `  var o${r}_${d} = vec4f(0.0);`),
      `  var m${r} = -3.4e38;`,
      `  var sum${r} = 0.0;`,
    ]),
    ...range(ROWS).map((r) => `  let first${r} = spans[2u * (batch * T + min(t${r}, T - 1u))];`),
    `  let end = min(T, (group.x + 1u) * ${ROWS * LANES}u);`,
    `  for (var s = spans[2u * (batch * T + group.x * ${ROWS * LANES}u)]; s < end; s++) {`,
    "    let key = batch * T + s;",
    ...rows.map((r) => `    var z${r} = vec4f(0.0);`),
    ...dims.flatMap((d) => [
      `    let k${d} = load_k(key, kv + ${d}u);`,
      ...rows.map((r) => `    z${r} = fma(q${r}_${d}, k${d}, z${r});`),
    ]),
    ...rows.flatMap((r) => [
      `    let sees${r} = s >= first${r} && s <= t${r};`,
      `    let x${r} = select(-3.4e38, ${total(`z${r}`)}, sees${r});`,
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
      ...dims.map((d) => `    out[at${r} + ${d}u] = o${r}_${d} / sum${r};`),
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
  const { HEAD_DIM4: D4, ROWS, LANES } = tile;
  const dims = range(D4), rows = range(ROWS);
  return [
    "struct Params { batch: u32, row_length: u32, heads: u32, group: u32, k_cols: u32, v_cols: u32, scale: f32 }",
    "@group(0) @binding(0) var<storage, read_write> dq: array<vec4f>;     // [B, T, H, D]",
    "@group(0) @binding(1) var<storage, read_write> stats: array<f32>;    // [B, H, T, 2]: log-sum-exp, delta",
    "@group(0) @binding(2) var<storage, read> q: array<vec4f>;            // [B, T, H, D]",
    "@group(0) @binding(3) var<storage, read> out: array<vec4f>;          // [B, T, H, D]",
    "@group(0) @binding(4) var<storage, read> dout: array<vec4f>;         // [B, T, H, D]",
    "@group(0) @binding(7) var<storage, read> spans: array<u32>;          // [B, T, 2]",
    "@group(0) @binding(8) var<uniform> params: Params;",
    "",
    ...mainHead(tile, "t"),
    `  let kv = (head / params.group) * ${D4}u;`,
    ...rows.flatMap((r) => [
      `  let at${r} = ((batch * T + t${r}) * params.heads + head) * ${D4}u;`,
      `  let stat${r} = 2u * ((batch * params.heads + head) * T + t${r});`,
      ...dims.map((d) => `  let q${r}_${d} = params.scale * q[at${r} + ${d}u];`),
      ...dims.map((d) => `  let g${r}_${d} = dout[at${r} + ${d}u];`),
      ...dims.map((d) => `  var dq${r}_${d} = vec4f(0.0);`),
      `  var delta${r} = 0.0;`,
      ...dims.map((d) => `  delta${r} += dot(g${r}_${d}, out[at${r} + ${d}u]);`),
      `  let lse${r} = stats[stat${r}];`,
    ]),
    ...range(ROWS).map((r) => `  let first${r} = spans[2u * (batch * T + min(t${r}, T - 1u))];`),
    `  let end = min(T, (group.x + 1u) * ${ROWS * LANES}u);`,
    `  for (var s = spans[2u * (batch * T + group.x * ${ROWS * LANES}u)]; s < end; s++) {`,
    "    let key = batch * T + s;",
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
    ...rows.map((r) => `    let sees${r} = s >= first${r} && s <= t${r};`),
    ...rows.map((r) =>
      `    let ds${r} = select(0.0, exp(${total(`z${r}`)} - lse${r}) * (${
        total(`e${r}`)
      } - delta${r}), sees${r});`
    ),
    ...dims.flatMap((d) => rows.map((r) => `    dq${r}_${d} = fma(vec4f(ds${r}), k${d}, dq${r}_${d});`)),
    "  }",
    ...rows.flatMap((r) => [
      `  if (t${r} < T) {`,
      ...dims.map((d) => `    dq[at${r} + ${d}u] = params.scale * dq${r}_${d};`),
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
  const { HEAD_DIM4: D4, ROWS, LANES } = tile;
  const dims = range(D4), rows = range(ROWS);
  return [
    "struct Params { batch: u32, row_length: u32, kv_heads: u32, group: u32, q_cols: u32, dout_cols: u32, scale: f32 }",
    "@group(0) @binding(0) var<storage, read_write> dk: array<vec4f>;     // [B, T, G, D]",
    "@group(0) @binding(1) var<storage, read_write> dv: array<vec4f>;     // [B, T, G, D]",
    "@group(0) @binding(2) var<storage, read> k: array<vec4f>;            // [B, T, G, D]",
    "@group(0) @binding(3) var<storage, read> v: array<vec4f>;            // [B, T, G, D]",
    "@group(0) @binding(4) var<storage, read> stats: array<f32>;          // [B, H, T, 2]: log-sum-exp, delta",
    "@group(0) @binding(7) var<storage, read> spans: array<u32>;          // [B, T, 2]",
    "@group(0) @binding(8) var<uniform> params: Params;",
    "",
    ...mainHead(tile, "s"),
    ...rows.flatMap((r) => [
      `  let at${r} = ((batch * T + s${r}) * params.kv_heads + head) * ${D4}u;`,
      ...dims.map((d) => `  let k${r}_${d} = params.scale * k[at${r} + ${d}u];`),
      ...dims.map((d) => `  let v${r}_${d} = v[at${r} + ${d}u];`),
      ...dims.map((d) => `  var dk${r}_${d} = vec4f(0.0);`),
      ...dims.map((d) => `  var dv${r}_${d} = vec4f(0.0);`),
      `  let end${r} = spans[2u * (batch * T + min(s${r}, T - 1u)) + 1u];`,
    ]),
    `  let end = spans[2u * (batch * T + min((group.x + 1u) * ${ROWS * LANES}u, T) - 1u) + 1u];`,
    "  for (var h = head * params.group; h < (head + 1u) * params.group; h++) {",
    `    for (var t = group.x * ${ROWS * LANES}u; t < end; t++) {`,
    "      let query = batch * T + t;",
    "      let stat = 2u * ((batch * params.kv_heads * params.group + h) * T + t);",
    "      let lse = stats[stat];",
    "      let delta = stats[stat + 1u];",
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
      `      let p${r} = select(0.0, exp(${total(`z${r}`)} - lse), s${r} <= t && t < end${r});`,
      `      let ds${r} = p${r} * (${total(`e${r}`)} - delta);`,
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
      ...dims.map((d) => `    dk[at${r} + ${d}u] = params.scale * dk${r}_${d};`),
      ...dims.map((d) => `    dv[at${r} + ${d}u] = dv${r}_${d};`),
      "  }",
    ]),
    "}",
  ].join("\n");
}
