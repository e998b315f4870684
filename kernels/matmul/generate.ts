/**
 * Writes the WGSL of the register-tiled matrix products.
 *
 * A product's inner loop wants its accumulators as separate named variables (an indexed array would leave the
 * registers), so the text depends on the tile. Everything else, operands from textures or buffers included, is the
 * same for all variants; `load_NAME(row, col4)` is declared by the engine.
 *
 * @module
 */

/** A tile: rows of one invocation, and columns (or vectors of four) of one invocation; lanes lie side by side. */
export interface Tile extends Readonly<Record<string, number>> {
  readonly TILE_ROWS: number;
  readonly TILE_COLS: number;
  readonly LANES: number;
}

const range = (n: number) => [...Array(n).keys()];
const LANE_NAMES = ["x", "y", "z", "w"];

/** What a product adds to its main term. */
export interface ProductParts {
  /** A second, low-rank product in the same accumulators: + u·bᵀ, or + v·a. */
  readonly lowRank: boolean;
  /** `addend`: another matrix of the output's shape. `accumulate`: what the output holds already. */
  readonly plus: "nothing" | "addend" | "accumulate";
}

/**
 * y[m, n] = scale · Σ_k x[m, k] · w[n, k]  (+ Σ_j u[m, j] · b[n, j])  (+ addend[m, n])
 *
 * Both operands are read along their rows, so one vec4 of each feeds four multiply-adds an output. Lanes are neighbours
 * in n.
 */
export function forwardText({ TILE_ROWS, TILE_COLS, LANES }: Tile, { lowRank, plus }: ProductParts): string {
  const rows = range(TILE_ROWS), cols = range(TILE_COLS);
  const names = ["y", "x", "w", ...(lowRank ? ["u", "b"] : []), ...(plus === "addend" ? ["addend"] : [])];
  const product = (left: string, right: string) => [
    `  for (var k = 0u; k < (params.${left}_cols + 3u) / 4u; k++) {`,
    ...cols.map((j) => `    let ${right}${j} = load_${right}(n + ${j * LANES}u, k);`),
    ...rows.flatMap((i) => [
      `    let ${left}${i} = load_${left}(m + ${i}u, k);`,
      ...cols.flatMap((j) =>
        LANE_NAMES.map((c) => `    s${i}_${j} = fma(${left}${i}.${c}, ${right}${j}.${c}, s${i}_${j});`)
      ),
    ]),
    "  }",
  ];
  const value = (i: number, j: number) =>
    `params.scale * s${i}_${j}${plus === "addend" ? ` + addend[row + ${j * LANES}u]` : ""}`;
  return [
    "// y = scale * x w^T" + (lowRank ? " + u b^T (scale is 1)" : "") +
    (plus === "addend" ? " + addend" : ""),
    `struct Params { rows: u32, cols: u32, x_cols: u32, w_cols: u32,${
      lowRank ? " u_cols: u32, b_cols: u32," : ""
    } scale: f32 }`,
    ...names.flatMap((name, at) => declare(name, at, "array<f32>")),
    `@group(0) @binding(${names.length}) var<uniform> params: Params;`,
    "",
    `@compute @workgroup_size(${LANES})`,
    "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {",
    `  let n = group.x * ${TILE_COLS * LANES}u + lane.x;`,
    `  let m = group.y * ${TILE_ROWS}u;`,
    ...rows.map((i) => "  " + cols.map((j) => `var s${i}_${j} = 0.0;`).join(" ")),
    ...product("x", "w"),
    ...(lowRank ? product("u", "b") : []),
    ...rows.flatMap((i) => [
      `  if (m + ${i}u < params.rows) {`,
      `    let row = (m + ${i}u) * params.cols + n;`,
      ...cols.map((j) =>
        `    if (n + ${j * LANES}u < params.cols) { y[row + ${j * LANES}u] = ${value(i, j)}; }`
      ),
      "  }",
    ]),
    "}",
  ].join("\n");
}

/**
 * y[m, c] (+)= Σ_n x[m, n] · w[n, c]  (+ Σ_j v[m, j] · a[j, c])
 *
 * The gradient with respect to a linear map's input, from the weight as it lies: w is read down its rows, four
 * at a time. Lanes own vectors of four columns; `TILE_COLS` counts those vectors.
 */
export function backwardInputText(
  { TILE_ROWS, TILE_COLS, LANES }: Tile,
  { lowRank, plus }: ProductParts,
  vec4Output: boolean,
): string {
  const rows = range(TILE_ROWS), cols = range(TILE_COLS);
  const names = ["y", "x", "w", ...(lowRank ? ["v", "a"] : [])];
  const product = (left: string, right: string) => [
    `  for (var k = 0u; k < (params.${left}_cols + 3u) / 4u; k++) {`,
    ...cols.flatMap((j) =>
      LANE_NAMES.map((c, r) => `    let ${right}${j}${c} = load_${right}(4u * k + ${r}u, c + ${j * LANES}u);`)
    ),
    ...rows.flatMap((i) => [
      `    let ${left}${i} = load_${left}(m + ${i}u, k);`,
      ...cols.flatMap((j) =>
        LANE_NAMES.map((c) => `    s${i}_${j} = fma(vec4f(${left}${i}.${c}), ${right}${j}${c}, s${i}_${j});`)
      ),
    ]),
    "  }",
  ];
  const sign = plus === "accumulate" ? "+=" : "=";
  const store = (i: number, j: number) =>
    vec4Output
      ? [
        `    if (c + ${j * LANES}u < cols4) { y[(m + ${i}u) * cols4 + c + ${
          j * LANES
        }u] ${sign} s${i}_${j}; }`,
      ]
      : LANE_NAMES.map((lane, r) => `    if (4u * (c + ${j * LANES}u) + ${r}u < params.cols) { ` +
        `y[(m + ${i}u) * params.cols + 4u * (c + ${j * LANES}u) + ${r}u] ${sign} s${i}_${j}.${lane}; }`
      );
  return [
    `// y ${sign} x w${lowRank ? " + v a" : ""}`,
    `struct Params { rows: u32, cols: u32, x_cols: u32, w_cols: u32${
      lowRank ? ", v_cols: u32, a_cols: u32" : ""
    } }`,
    ...names.flatMap((name, at) => declare(name, at, vec4Output ? "array<vec4f>" : "array<f32>")),
    `@group(0) @binding(${names.length}) var<uniform> params: Params;`,
    "",
    `@compute @workgroup_size(${LANES})`,
    "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {",
    `  let c = group.x * ${TILE_COLS * LANES}u + lane.x;`,
    `  let m = group.y * ${TILE_ROWS}u;`,
    ...(vec4Output ? ["  let cols4 = params.cols / 4u;"] : []),
    ...rows.map((i) => "  " + cols.map((j) => `var s${i}_${j} = vec4f(0.0);`).join(" ")),
    ...product("x", "w"),
    ...(lowRank ? product("v", "a") : []),
    ...rows.flatMap((i) => [
      `  if (m + ${i}u < params.rows) {`,
      ...cols.flatMap((j) => store(i, j)),
      "  }",
    ]),
    "}",
  ].join("\n");
}

/**
 * out[p, q] += Σ_m left[m, p] · right[m, q], or its transpose out[q, p].
 *
 * The gradient of a low-rank factor: `left` is the narrow operand [M, rank], `right` the wide one [M, width]. A lane owns
 * four columns q and 4·TILE_ROWS columns p. Adds to what `out` holds: gradients accumulate over micro-steps.
 */
export function backwardFactorText({ TILE_ROWS, LANES }: Tile, transposed: boolean): string {
  const blocks = range(TILE_ROWS);
  const lanes = LANE_NAMES.map((name, i) => ({ name, i }));
  const at = (p: string, q: string) =>
    transposed ? `${q} * params.left_cols + ${p}` : `${p} * params.right_cols + ${q}`;
  return [
    `// out += ${transposed ? "right^T left" : "left^T right"}`,
    "struct Params { rows: u32, left_cols: u32, right_cols: u32 }",
    "@group(0) @binding(0) var<storage, read_write> out: array<f32>;",
    "@group(0) @binding(3) var<uniform> params: Params;",
    "",
    `@compute @workgroup_size(${LANES})`,
    "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {",
    `  let q4 = group.x * ${LANES}u + lane.x;`,
    `  let p4 = group.y * ${TILE_ROWS}u;`,
    ...blocks.flatMap((b) => lanes.map(({ name }) => `  var s${b}${name} = vec4f(0.0);`)),
    "  for (var m = 0u; m < params.rows; m++) {",
    "    let r = load_right(m, q4);",
    ...blocks.flatMap((b) => [
      `    let l${b} = load_left(m, p4 + ${b}u);`,
      ...lanes.map(({ name }) => `    s${b}${name} = fma(vec4f(l${b}.${name}), r, s${b}${name});`),
    ]),
    "  }",
    ...blocks.flatMap((b) =>
      lanes.flatMap(({ name, i }) => [
        `  if (4u * (p4 + ${b}u) + ${i}u < params.left_cols) {`,
        `    let p = 4u * (p4 + ${b}u) + ${i}u;`,
        ...lanes.map(({ name: q, i: j }) =>
          `    if (4u * q4 + ${j}u < params.right_cols) { out[${
            at("p", `(4u * q4 + ${j}u)`)
          }] += s${b}${name}.${q}; }`
        ),
        "  }",
      ])
    ),
    "}",
  ].join("\n");
}

/** Outputs and addends are declared here; operands (every other name) by the engine, which picks their source. */
function declare(name: string, at: number, type: string): string[] {
  if (name === "y") return [`@group(0) @binding(${at}) var<storage, read_write> y: ${type};`];
  if (name === "addend") return [`@group(0) @binding(${at}) var<storage, read> addend: ${type};`];
  return [];
}
