/**
 * Writes the WGSL of matrix products: a formula here, fed by one of the tiles beside.
 *
 * A product's inner loop wants its accumulators as separate named variables (an indexed array would leave the
 * registers), so the text depends on the tile. Where operands lie, in textures or buffers, is the same for all tiles:
 * `load_NAME(row, col4)` is declared by the engine.
 *
 * @module
 */
import { LANE_NAMES, position, type Product, productOf, range, registerName, type Term } from "./product.ts";
import { registerTileText } from "./register_tile.ts";
import { sharedTileText } from "./shared_tile.ts";
import { subgroupTileText } from "./subgroup_tile.ts";
import { requirements, shapeOf, type Tile } from "./tile.ts";
import { vectorTileText } from "./vector_tile.ts";

/** What x·wᵀ is extended by. */
export interface ForwardParts {
  /** + u·bᵀ, in the same accumulators. */
  readonly lowRank: boolean;
  /** + bias [N], the same for all rows. */
  readonly bias: boolean;
  /** + addend [M, N]. */
  readonly addend: boolean;
}

/** What x·w is extended by. */
export interface BackwardInputParts {
  /** + v·a, in the same accumulators. */
  readonly lowRank: boolean;
  /** Add to what the output holds already. */
  readonly accumulate: boolean;
}

/**
 * y[m, n] = scale · (Σ_k x[m, k] · w[n, k]  (+ Σ_j u[m, j] · b[n, j]))  (+ bias[n])  (+ addend[m, n])
 *
 * Both operands are read along their rows, so one vector of each feeds four multiply-adds of an output.
 */
export function forwardText(tile: Tile, { lowRank, bias, addend }: ForwardParts): string {
  const rows = range(tile.TILE_ROWS), cols = range(tile.TILE_COLS);
  const extra = [...(bias ? ["bias"] : []), ...(addend ? ["addend"] : [])];
  const bindings = ["y", "x", "w", ...(lowRank ? ["u", "b"] : []), ...extra];
  const formula = `scale * ${lowRank ? "(x w^T + u b^T)" : "x w^T"}${
    extra.map((name) => ` + ${name}`).join("")
  }`;
  const { right } = shapeOf("forward", tile);
  const value = (i: number, j: number) =>
    `params.scale * s${i}_${j}${bias ? ` + bias[${position(right, j)}]` : ""}${
      addend ? ` + addend[at + ${j * tile.LANES}u]` : ""
    }`;
  return textOf(productOf("forward", tile, {
    head: [
      `// y = ${formula}`,
      `struct Params { rows: u32, cols: u32, first_row: u32, x_cols: u32, w_cols: u32, ${
        lowRank ? "u_cols: u32, b_cols: u32, " : ""
      }scale: f32 }`,
      "@group(0) @binding(0) var<storage, read_write> y: array<f32>;",
      ...extra.map((name) =>
        `@group(0) @binding(${bindings.indexOf(name)}) var<storage, read> ${name}: array<f32>;`
      ),
      `@group(0) @binding(${bindings.length}) var<uniform> params: Params;`,
    ],
    terms: [columnsOf("x", "w"), ...(lowRank ? [columnsOf("u", "b")] : [])],
    accumulators: rows.flatMap((i) => cols.map((j) => `s${i}_${j}`)),
    accumulatorType: "f32",
    multiplyAdd: ({ left, right }, i) =>
      cols.flatMap((j) =>
        LANE_NAMES.map((c) => `s${i}_${j} = fma(${left}${i}.${c}, ${right}${j}.${c}, s${i}_${j});`)
      ),
    store: rows.flatMap((i) => [
      `if (${rowAt(tile, i)} < params.rows) {`,
      `  let at = (${rowAt(tile, i)}) * params.cols + col;`,
      ...cols.map((j) =>
        `  if (${position(right, j)} < params.cols) { y[at + ${j * tile.LANES}u] = ${value(i, j)}; }`
      ),
      "}",
    ]),
  }));
}

/**
 * y[m, c] (+)= Σ_n x[m, n] · w[n, c]  (+ Σ_j v[m, j] · a[j, c])
 *
 * The gradient with respect to a linear map's input, from the weight as it lies: w is read down its rows, four
 * at a time. A register holds four columns, and `col` counts such vectors.
 */
export function backwardInputText(
  tile: Tile,
  { lowRank, accumulate }: BackwardInputParts,
  vec4Output: boolean,
): string {
  const rows = range(tile.TILE_ROWS), cols = range(tile.TILE_COLS);
  const sign = accumulate ? "+=" : "=";
  const { right: side } = shapeOf("backwardInput", tile);
  const store = (i: number, j: number) =>
    vec4Output
      ? [`  if (${position(side, j)} < params.cols / 4u) { y[at + ${j * tile.LANES}u] ${sign} s${i}_${j}; }`]
      : LANE_NAMES.map((lane, r) =>
        `  if (4u * (${position(side, j)}) + ${r}u < params.cols) { ` +
        `y[at + ${4 * j * tile.LANES + r}u] ${sign} s${i}_${j}.${lane}; }`
      );
  return textOf(productOf("backwardInput", tile, {
    head: [
      `// y ${sign} x w${lowRank ? " + v a" : ""}`,
      `struct Params { rows: u32, cols: u32, first_row: u32, x_cols: u32, w_cols: u32${
        lowRank ? ", v_cols: u32, a_cols: u32" : ""
      } }`,
      `@group(0) @binding(0) var<storage, read_write> y: array<${vec4Output ? "vec4f" : "f32"}>;`,
      `@group(0) @binding(${lowRank ? 5 : 3}) var<uniform> params: Params;`,
    ],
    terms: [columnsOf("x", "w"), ...(lowRank ? [columnsOf("v", "a")] : [])],
    accumulators: rows.flatMap((i) => cols.map((j) => `s${i}_${j}`)),
    accumulatorType: "vec4f",
    multiplyAdd: ({ left, right }, i) =>
      cols.flatMap((j) =>
        LANE_NAMES.map((c, part) =>
          `s${i}_${j} = fma(vec4f(${left}${i}.${c}), ${registerName(side, right, j, part)}, s${i}_${j});`
        )
      ),
    store: rows.flatMap((i) => [
      `if (${rowAt(tile, i)} < params.rows) {`,
      `  let at = (${rowAt(tile, i)}) * ${
        vec4Output ? "(params.cols / 4u) + col" : "params.cols + 4u * col"
      };`,
      ...cols.flatMap((j) => store(i, j)),
      "}",
    ]),
  }));
}

/**
 * out[p, q] += Σ_m left[m, p] · right[m, q], or its transpose out[q, p], over the rows m from `first_row` on.
 *
 * The gradient of a low-rank factor: `left` is the narrow operand [M, rank], `right` the wide one [M, width]. A register
 * holds 4 x 4 outputs; `row` and `col` count fours of p and q. Adds to what `out` holds: gradients accumulate over
 * micro-steps, and a long sum is divided over several launches.
 */
export function backwardFactorText(tile: Tile, transposed: boolean): string {
  const rows = range(tile.TILE_ROWS), cols = range(tile.TILE_COLS);
  const { left, right } = shapeOf("backwardFactor", tile);
  const at = transposed ? "q * params.left_cols + p" : "p * params.right_cols + q";
  const add = (i: number, c: string, j: number) => [
    `    if (4u * (${position(right, j)}) < params.right_cols) {`,
    ...LANE_NAMES.map((lane, r) =>
      `      { let q = 4u * (${position(right, j)}) + ${r}u; ` +
      `if (q < params.right_cols) { out[${at}] += s${i}${c}_${j}.${lane}; } }`
    ),
    "    }",
  ];
  return textOf(productOf("backwardFactor", tile, {
    head: [
      `// out += ${transposed ? "right^T left" : "left^T right"}`,
      "struct Params { rows: u32, first_row: u32, left_cols: u32, right_cols: u32 }",
      "@group(0) @binding(0) var<storage, read_write> out: array<f32>;",
      "@group(0) @binding(3) var<uniform> params: Params;",
    ],
    terms: [{ left: "left", right: "right", first: "params.first_row", end: "params.rows" }],
    accumulators: rows.flatMap((i) => LANE_NAMES.flatMap((c) => cols.map((j) => `s${i}${c}_${j}`))),
    accumulatorType: "vec4f",
    multiplyAdd: (term, i) =>
      LANE_NAMES.flatMap((c) =>
        cols.map((j) =>
          `s${i}${c}_${j} = fma(vec4f(${term.left}${i}.${c}), ${term.right}${j}, s${i}${c}_${j});`
        )
      ),
    store: rows.flatMap((i) =>
      LANE_NAMES.flatMap((c, part) => [
        `if (4u * (${position(left, i)}) + ${part}u < params.left_cols) {`,
        `  let p = 4u * (${position(left, i)}) + ${part}u;`,
        ...cols.flatMap((j) => add(i, c, j).map((line) => line.slice(2))),
        "}",
      ])
    ),
  }));
}

/** A sum over the columns of an operand, four a step. */
function columnsOf(left: string, right: string): Term {
  return { left, right, first: "0u", end: `(params.${left}_cols + 3u) / 4u` };
}

const rowAt = (tile: Tile, i: number) => position(shapeOf("forward", tile).left, i);

/** The text for the kind of tile. */
function textOf(product: Product): string {
  const { op, tile } = product;
  requirements(op, tile);
  if (tile.K_LANES > 1) return vectorTileText(product);
  if (tile.SUBGROUP) return subgroupTileText(product);
  return tile.DEPTH > 0 ? sharedTileText(product) : registerTileText(product);
}
