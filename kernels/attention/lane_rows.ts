/**
 * Writes the WGSL of attention with an online softmax (Dao et al. 2022), forward and backward, for lanes that own rows.
 *
 * A lane keeps ROWS queries (or keys), their outputs and gradients in registers while it walks over the other side, KEYS
 * of it at a step: what the lane keeps is read and written once a step. The number of registers depends on the head's
 * width, hence generated text. No score matrix, no atomics, a fixed order of summation.
 *
 * Names end in the lane's row, the row of the step and the vector: `z1_0` is the score of row 1 with key 0.
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

/** The walk of queries over the keys that one of them sees; the last key stands in for those beyond the row. */
const walkKeys = ({ ROWS, KEYS }: AttentionTile) => [
  ...range(ROWS).map((r) => `  let first${r} = spans[2u * row${r}];`),
  `  for (var s = spans[2u * (batch * T + block)]; s < block_end; s += ${KEYS}u) {`,
  ...range(KEYS).map((j) => `    let key${j} = batch * T + min(s + ${j}u, T - 1u);`),
  ...range(ROWS).flatMap((r) =>
    range(KEYS).map((j) => `    let sees${r}_${j} = s + ${j}u >= first${r} && s + ${j}u <= t${r};`)
  ),
];

/** A sum over dimensions for each row of the lane and of the step. */
const zeros = ({ ROWS, KEYS }: AttentionTile, name: string) =>
  range(ROWS).flatMap((r) => range(KEYS).map((j) => `    var ${name}${r}_${j} = vec4f(0.0);`));

/** sum + Σ_j weight_j · vector_j */
const added = (sum: string, steps: readonly number[], term: (j: number) => readonly [string, string]) =>
  steps.reduce((before, j) => {
    const [weight, vector] = term(j);
    return `fma(vec4f(${weight}), ${vector}, ${before})`;
  }, sum);

/**
 * out_t = Σ_s softmax_s(scale · q_t·k_s) v_s       stats[.., 0] = log Σ_s exp(scale · q_t·k_s)
 */
export function forwardText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4 } = tile, dims = range(D4), rows = range(tile.ROWS), steps = range(tile.KEYS);
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
    ...walkKeys(tile),
    ...zeros(tile, "z"),
    ...dims.flatMap((d) => [
      ...steps.map((j) => `    let k${j}_${d} = load_k(key${j}, kv + ${d}u);`),
      ...rows.flatMap((r) => steps.map((j) => `    z${r}_${j} = fma(q${r}_${d}, k${j}_${d}, z${r}_${j});`)),
    ]),
    ...rows.flatMap((r) => [
      ...steps.map((j) =>
        `    let x${r}_${j} = select(-3.4e38, ${score(total(`z${r}_${j}`), tile)}, sees${r}_${j});`
      ),
      `    let n${r} = ${steps.reduce((most, j) => `max(${most}, x${r}_${j})`, `m${r}`)};`,
      `    let keep${r} = exp(m${r} - n${r});`,
      ...steps.map((j) => `    let p${r}_${j} = select(0.0, exp(x${r}_${j} - n${r}), sees${r}_${j});`),
      `    m${r} = n${r};`,
      `    sum${r} = fma(sum${r}, keep${r}, ${steps.map((j) => `p${r}_${j}`).join(" + ")});`,
    ]),
    ...dims.flatMap((d) => [
      ...steps.map((j) => `    let v${j}_${d} = load_v(key${j}, kv + ${d}u);`),
      ...rows.map((r) => {
        const kept = `o${r}_${d} * keep${r}`;
        return `    o${r}_${d} = ${added(kept, steps, (j) => [`p${r}_${j}`, `v${j}_${d}`])};`;
      }),
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
  const { HEAD_DIM4: D4 } = tile, dims = range(D4), rows = range(tile.ROWS), steps = range(tile.KEYS);
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
    ...walkKeys(tile),
    ...zeros(tile, "z"),
    ...zeros(tile, "e"),
    ...dims.flatMap((d) => [
      ...steps.flatMap((j) => [
        `    let k${j}_${d} = load_k(key${j}, kv + ${d}u);`,
        `    let v${j}_${d} = load_v(key${j}, kv + ${d}u);`,
      ]),
      ...rows.flatMap((r) =>
        steps.flatMap((j) => [
          `    z${r}_${j} = fma(q${r}_${d}, k${j}_${d}, z${r}_${j});`,
          `    e${r}_${j} = fma(g${r}_${d}, v${j}_${d}, e${r}_${j});`,
        ])
      ),
    ]),
    ...rows.flatMap((r) =>
      steps.flatMap((j) => [
        `    let x${r}_${j} = ${score(total(`z${r}_${j}`), tile)};`,
        `    let p${r}_${j} = select(0.0, exp(x${r}_${j} - lse${r}), sees${r}_${j});`,
        `    let ds${r}_${j} = p${r}_${j} * (${total(`e${r}_${j}`)} - delta${r})${
          slope(`x${r}_${j}`, tile)
        };`,
      ])
    ),
    ...dims.flatMap((d) =>
      rows.map((r) =>
        `    dq${r}_${d} = ${added(`dq${r}_${d}`, steps, (j) => [`ds${r}_${j}`, `k${j}_${d}`])};`
      )
    ),
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
  const { HEAD_DIM4: D4 } = tile, dims = range(D4), rows = range(tile.ROWS), steps = range(tile.KEYS);
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
    `    for (var t = block; t < end; t += ${tile.KEYS}u) {`,
    ...steps.flatMap((j) => [
      `      let t_${j} = min(t + ${j}u, T - 1u);`,
      `      let query${j} = batch * T + t_${j};`,
      `      let lse_delta${j} = stat(batch * params.kv_heads * params.group + h, t_${j});`,
    ]),
    ...zeros(tile, "z"),
    ...zeros(tile, "e"),
    ...dims.flatMap((d) => [
      ...steps.flatMap((j) => [
        `      let q${j}_${d} = load_q(query${j}, h * ${D4}u + ${d}u);`,
        `      let g${j}_${d} = load_dout(query${j}, h * ${D4}u + ${d}u);`,
      ]),
      ...rows.flatMap((r) =>
        steps.flatMap((j) => [
          `      z${r}_${j} = fma(k${r}_${d}, q${j}_${d}, z${r}_${j});`,
          `      e${r}_${j} = fma(v${r}_${d}, g${j}_${d}, e${r}_${j});`,
        ])
      ),
    ]),
    ...rows.flatMap((r) =>
      steps.flatMap((j) => [
        `      let x${r}_${j} = ${score(total(`z${r}_${j}`), tile)};`,
        `      let asks${r}_${j} = s${r} <= t + ${j}u && t + ${j}u < end${r};`,
        `      let p${r}_${j} = select(0.0, exp(x${r}_${j} - lse_delta${j}.x), asks${r}_${j});`,
        `      let ds${r}_${j} = p${r}_${j} * (${total(`e${r}_${j}`)} - lse_delta${j}.y)${
          slope(`x${r}_${j}`, tile)
        };`,
      ])
    ),
    ...dims.flatMap((d) =>
      rows.flatMap((r) => [
        `      dv${r}_${d} = ${added(`dv${r}_${d}`, steps, (j) => [`p${r}_${j}`, `g${j}_${d}`])};`,
        `      dk${r}_${d} = ${added(`dk${r}_${d}`, steps, (j) => [`ds${r}_${j}`, `q${j}_${d}`])};`,
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
