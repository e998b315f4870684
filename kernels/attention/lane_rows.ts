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

/** A product of each row of the lane, vectors `mine`, with each row of the step, loaded into vectors `other`. */
interface Product {
  readonly sum: string;
  readonly mine: string;
  readonly other: string;
  /** Loads vector d of row j of the step. */
  readonly load: (j: number, d: number) => string;
}

function products({ HEAD_DIM4, ROWS, KEYS }: AttentionTile, wanted: readonly Product[]): string[] {
  const rows = range(ROWS), steps = range(KEYS);
  return [
    ...wanted.flatMap(({ sum }) =>
      rows.flatMap((r) => steps.map((j) => `    var ${sum}${r}_${j} = vec4f(0.0);`))
    ),
    ...range(HEAD_DIM4).flatMap((d) => [
      ...wanted.flatMap(({ other, load }) => steps.map((j) => `    let ${other}${j}_${d} = ${load(j, d)};`)),
      ...wanted.flatMap(({ sum, mine, other }) =>
        rows.flatMap((r) =>
          steps.map((j) => `    ${sum}${r}_${j} = fma(${mine}${r}_${d}, ${other}${j}_${d}, ${sum}${r}_${j});`)
        )
      ),
    ]),
  ];
}

/** p and ds = d loss / d (scale·q·k) of each pair, from its products z and e. */
const gradients = (
  tile: AttentionTile,
  { sees, lse, delta }: Readonly<Record<"sees" | "lse" | "delta", (r: number, j: number) => string>>,
) =>
  range(tile.ROWS).flatMap((r) =>
    range(tile.KEYS).flatMap((j) => [
      `    let x${r}_${j} = ${score(total(`z${r}_${j}`), tile)};`,
      `    let p${r}_${j} = select(0.0, exp(x${r}_${j} - ${lse(r, j)}), ${sees(r, j)});`,
      `    let ds${r}_${j} = p${r}_${j} * (${total(`e${r}_${j}`)} - ${delta(r, j)})${
        slope(`x${r}_${j}`, tile)
      };`,
    ])
  );

/** start + Σ_j weight_j · vector_j over the rows of a step. */
const added = ({ KEYS }: AttentionTile, start: string, weight: string, vector: string, d: number) =>
  range(KEYS).reduce((sum, j) => `fma(vec4f(${weight}_${j}), ${vector}${j}_${d}, ${sum})`, start);

/** Writes vectors of each row that exists, `heads` of them side by side. */
const store = (
  { HEAD_DIM4, ROWS }: AttentionTile,
  t: string,
  heads: string,
  values: Readonly<Record<string, (r: number, d: number) => string>>,
  more: (r: number) => string[] = () => [],
) =>
  range(ROWS).flatMap((r) => [
    `  if (${t}${r} < T) {`,
    `    let to = (row${r} * params.${heads} + head) * ${HEAD_DIM4}u;`,
    ...Object.entries(values).flatMap(([name, value]) =>
      range(HEAD_DIM4).map((d) => `    ${name}[to + ${d}u] = ${value(r, d)};`)
    ),
    ...more(r),
    "  }",
  ]);

/** The new largest score of row r, what earlier sums keep of their size, and the weights of the step. */
function onlineSoftmax(r: number, tile: AttentionTile): string[] {
  const steps = range(tile.KEYS);
  return [
    ...steps.map((j) =>
      `    let x${r}_${j} = select(-3.4e38, ${score(total(`z${r}_${j}`), tile)}, sees${r}_${j});`
    ),
    `    let n${r} = ${steps.reduce((most, j) => `max(${most}, x${r}_${j})`, `m${r}`)};`,
    `    let keep${r} = exp(m${r} - n${r});`,
    ...steps.map((j) => `    let p${r}_${j} = select(0.0, exp(x${r}_${j} - n${r}), sees${r}_${j});`),
    `    m${r} = n${r};`,
    `    sum${r} = fma(sum${r}, keep${r}, ${steps.map((j) => `p${r}_${j}`).join(" + ")});`,
  ];
}

/**
 * out_t = Σ_s softmax_s(scale · q_t·k_s) v_s       stats[.., 0] = log Σ_s exp(scale · q_t·k_s)
 */
export function forwardText(tile: AttentionTile): string {
  const { HEAD_DIM4: D4 } = tile, dims = range(D4), rows = range(tile.ROWS), steps = range(tile.KEYS);
  return [
    ...FORWARD_DECLARATIONS,
    ...capFunction(tile),
    ...mainHead(tile, "t"),
    `  let at = head * ${D4}u;`,
    `  let kv = (head / params.group) * ${D4}u;`,
    ...rows.flatMap((r) => [
      ...dims.map((d) => `  let q${r}_${d} = params.scale * load_q(row${r}, at + ${d}u);`),
      ...dims.map((d) => `  var o${r}_${d} = vec4f(0.0);`),
      `  var m${r} = -3.4e38;`,
      `  var sum${r} = 0.0;`,
    ]),
    ...walkKeys(tile),
    ...products(tile, [
      { sum: "z", mine: "q", other: "k", load: (j, d) => `load_k(key${j}, kv + ${d}u)` },
    ]),
    ...rows.flatMap((r) => onlineSoftmax(r, tile)),
    ...dims.flatMap((d) => [
      ...steps.map((j) => `    let v${j}_${d} = load_v(key${j}, kv + ${d}u);`),
      ...rows.map((r) => `    o${r}_${d} = ${added(tile, `o${r}_${d} * keep${r}`, `p${r}`, "v", d)};`),
    ]),
    "  }",
    ...store(tile, "t", "heads", { out: (r, d) => `o${r}_${d} / sum${r}` }, (r) => [
      `    stats[2u * ((batch * params.heads + head) * T + t${r})] = m${r} + log(sum${r});`,
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
    `  let at = head * ${D4}u;`,
    `  let kv = (head / params.group) * ${D4}u;`,
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
    ...products(tile, [
      { sum: "z", mine: "q", other: "k", load: (j, d) => `load_k(key${j}, kv + ${d}u)` },
      { sum: "e", mine: "g", other: "v", load: (j, d) => `load_v(key${j}, kv + ${d}u)` },
    ]),
    ...gradients(tile, {
      sees: (r, j) => `sees${r}_${j}`,
      lse: (r) => `lse${r}`,
      delta: (r) => `delta${r}`,
    }),
    ...dims.flatMap((d) =>
      rows.map((r) => `    dq${r}_${d} = ${added(tile, `dq${r}_${d}`, `ds${r}`, "k", d)};`)
    ),
    "  }",
    ...store(tile, "t", "heads", { dq: (r, d) => `params.scale * dq${r}_${d}` }, (r) => [
      `    stats[stat${r} + 1u] = delta${r};`,
    ]),
    "}",
  ].join("\n");
}

/** The walk of keys over the query heads that share them, and the queries that see one of them. */
const walkQueries = ({ ROWS, KEYS }: AttentionTile) => [
  ...range(ROWS).map((r) => `  let end${r} = spans[2u * row${r} + 1u];`),
  "  let end = spans[2u * (batch * T + block_end) - 1u];",
  "  for (var h = head * params.group; h < (head + 1u) * params.group; h++) {",
  `  for (var t = block; t < end; t += ${KEYS}u) {`,
  ...range(KEYS).flatMap((j) => [
    `    let t_${j} = min(t + ${j}u, T - 1u);`,
    `    let query${j} = batch * T + t_${j};`,
    `    let lse_delta${j} = stat(batch * params.kv_heads * params.group + h, t_${j});`,
  ]),
];

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
    ]),
    ...walkQueries(tile),
    ...products(tile, [
      { sum: "z", mine: "k", other: "q", load: (j, d) => `load_q(query${j}, h * ${D4}u + ${d}u)` },
      { sum: "e", mine: "v", other: "g", load: (j, d) => `load_dout(query${j}, h * ${D4}u + ${d}u)` },
    ]),
    ...gradients(tile, {
      sees: (r, j) => `s${r} <= t + ${j}u && t + ${j}u < end${r}`,
      lse: (_, j) => `lse_delta${j}.x`,
      delta: (_, j) => `lse_delta${j}.y`,
    }),
    ...dims.flatMap((d) =>
      rows.flatMap((r) => [
        `    dv${r}_${d} = ${added(tile, `dv${r}_${d}`, `p${r}`, "g", d)};`,
        `    dk${r}_${d} = ${added(tile, `dk${r}_${d}`, `ds${r}`, "q", d)};`,
      ])
    ),
    "  }",
    "  }",
    ...store(tile, "s", "kv_heads", {
      dk: (r, d) => `params.scale * dk${r}_${d}`,
      dv: (r, d) => `dv${r}_${d}`,
    }),
    "}",
  ].join("\n");
}
