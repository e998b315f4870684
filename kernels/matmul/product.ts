/**
 * What all tiles of one product share: its declarations, the multiply-adds of one step, and how sums are stored.
 *
 * @module
 */
import { type ProductOp, type ProductShape, shapeOf, type Side, type Tile } from "./tile.ts";

export const range = (n: number): number[] => [...Array(n).keys()];
export const LANE_NAMES = ["x", "y", "z", "w"] as const;
export const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** One sum of a product: left · right over the steps `first` to `end`, which are WGSL expressions. */
export interface Term {
  readonly left: string;
  readonly right: string;
  readonly first: string;
  readonly end: string;
}

/** What the formula of a product decides. WGSL variables `row` and `col` are the lane's first registers. */
export interface ProductFormula {
  /** Formula, `struct Params` and the bindings that are no operands. */
  readonly head: readonly string[];
  readonly terms: readonly Term[];
  readonly accumulators: readonly string[];
  readonly accumulatorType: "f32" | "vec4f";
  /** Multiply-adds of row `i` for one step, from registers named by {@link registerName}. */
  readonly multiplyAdd: (term: Term, i: number) => readonly string[];
  /** Writes the sums to the output, within its bounds. */
  readonly store: readonly string[];
}

/** A product for one tile, ready to be fed by a way of loading operands. */
export interface Product extends ProductFormula, ProductShape {
  readonly op: ProductOp;
  readonly tile: Tile;
}

export function productOf(op: ProductOp, tile: Tile, formula: ProductFormula): Product {
  return { op, tile, ...shapeOf(op, tile), ...formula };
}

/** The variable that holds vector `part` of register `index` of an operand. */
export function registerName({ vectors }: Side, operand: string, index: number, part: number): string {
  return vectors === 1 ? `${operand}${index}` : `${operand}${index}${LANE_NAMES[part]}`;
}

/** Position of register `index`: lanes are interleaved. */
export function position({ first, lanes }: Side, index: number): string {
  return index === 0 ? first : `${first} + ${index * lanes}u`;
}

/** The load of vector `part` of the register at a position, for step `k`; both are WGSL expressions. */
export function load(side: Side, operand: string, at: string, k: string, part: number): string {
  if (side.alongSum) return `load_${operand}(${at}, ${k})`;
  return `load_${operand}(${side.vectors === 1 ? k : `4u * ${k} + ${part}u`}, ${at})`;
}

/** How a way of feeding gets one vector: a WGSL expression. */
export type Fetch = (side: Side, operand: string, index: number, part: number) => string;

/** Straight from the operand, for step `k`. */
export const fetchDirectly = (k: string): Fetch => (side, operand, index, part) =>
  load(side, operand, position(side, index), k, part);

/** One step of a term: all registers of the right side, then row by row that of the left and its multiply-adds. */
export function step(product: Product, term: Term, fetchLeft: Fetch, fetchRight: Fetch): string[] {
  const { left, right } = product;
  const registers = (side: Side, operand: string, index: number, fetch: Fetch) =>
    range(side.vectors).map((part) =>
      `let ${registerName(side, operand, index, part)} = ${fetch(side, operand, index, part)};`
    );
  return [
    ...range(right.count).flatMap((j) => registers(right, term.right, j, fetchRight)),
    ...range(left.count).flatMap((i) => [
      ...registers(left, term.left, i, fetchLeft),
      ...product.multiplyAdd(term, i),
    ]),
  ];
}

/** The entry point's first lines: its workgroup, the lane's place, and sums of zero. Further built-ins as `, @builtin…`. */
export function opening(product: Product, { size, row, col }: Opening, builtins = ""): string[] {
  const { op, tile, accumulators, accumulatorType } = product;
  const firstRow = op === "backwardFactor" ? "" : "params.first_row + ";
  const zero = accumulatorType === "f32" ? "0.0" : "vec4f(0.0)";
  return [
    `@compute @workgroup_size(${size})`,
    `fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u${builtins}) {`,
    `  let row = ${firstRow}group.x * ${tile.TILE_ROWS * tile.LANE_ROWS}u${row && ` + ${row}`};`,
    `  let col = group.y * ${tile.TILE_COLS * tile.LANES}u + ${col};`,
    ...accumulators.map((name) => `  var ${name} = ${zero};`),
  ];
}

/** Size of the workgroup and where in it a lane's row and column are counted. */
export interface Opening {
  readonly size: string;
  readonly row: string;
  readonly col: string;
}
