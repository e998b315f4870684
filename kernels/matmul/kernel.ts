/**
 * Matrix products of a linear map with a frozen weight and a low-rank update: forward, gradient of the input,
 * gradients of the factors. See `generate.ts` for the formulas and `tile.ts` for the tiles that compute them.
 *
 * A launch covers the rows from `first_row` to `rows` - 1, so that a long product can be divided over several.
 *
 * @module
 */
import { type Binding, defineKernel, operand, read, write } from "../../src/gpu/kernel.ts";
import {
  backwardFactorText,
  type BackwardInputParts,
  backwardInputText,
  type ForwardParts,
  forwardText,
} from "./generate.ts";
import { iterationsOf, type ProductOp, registerTile, spanOf, type Tile } from "./tile.ts";

export type { BackwardInputParts, ForwardParts } from "./generate.ts";
export {
  invocationsOf,
  iterationsOf,
  type ProductOp,
  registerTile,
  requirements,
  sharedTile,
  spanOf,
  subgroupTile,
  type Tile,
  type TileRequirements,
  vectorTile,
} from "./tile.ts";

const DEFAULT_TILE = registerTile(8, 4, 8);

/** The output's columns and the rows of one launch. */
interface Sizes {
  readonly rows: number;
  readonly cols: number;
  readonly first_row: number;
}

/** Four columns of an operand are one step of a sum. */
const steps = (...cols: number[]) => cols.map((n) => Math.ceil(n / 4));
/** A multiplication and an addition for each of `depths` at each output. */
const products = ({ rows, first_row, cols }: Sizes, ...depths: number[]) =>
  2 * (rows - first_row) * cols * depths.reduce((sum, n) => sum + n, 0);
/** Row blocks side by side: those of the same columns run one after the other and find these columns of w in a cache. */
const gridOf = (op: ProductOp) => ({ rows, first_row, cols }: Sizes, tile: Tile) => {
  const span = spanOf(op, tile);
  return [Math.ceil((rows - first_row) / span.rows), Math.ceil(cols / span.cols)] as const;
};
/** Bytes of the matrices that have a row for each row of the output. */
const rowBytes = ({ rows, first_row, cols }: Sizes, x_cols: number) => ({
  y: 4 * (rows - first_row) * cols,
  addend: 4 * (rows - first_row) * cols,
  x: 4 * (rows - first_row) * x_cols,
});

const FORWARD = { rows: "u32", cols: "u32", first_row: "u32", x_cols: "u32", w_cols: "u32" } as const;
const FORWARD_PARAMS = { ...FORWARD, scale: "f32" } as const;
const LORA_FORWARD_PARAMS = { ...FORWARD, u_cols: "u32", b_cols: "u32", scale: "f32" } as const;
const BACKWARD_PARAMS = FORWARD;
const LORA_BACKWARD_PARAMS = { ...FORWARD, v_cols: "u32", a_cols: "u32" } as const;

function defineForward(parts: ForwardParts) {
  const { lowRank, bias, addend } = parts;
  const bindings: Record<string, Binding> = {
    y: write(),
    x: operand(),
    w: operand(),
    ...(lowRank ? { u: operand(), b: operand() } : {}),
    ...(bias ? { bias: read() } : {}),
    ...(addend ? { addend: read() } : {}),
  };
  return defineKernel({
    name: `${lowRank ? "lora" : "matmul"}_forward${bias ? "_bias" : ""}${addend ? "_add" : ""}`,
    source: (tile: Tile) => forwardText(tile, parts),
    bindings,
    params: (lowRank ? LORA_FORWARD_PARAMS : FORWARD_PARAMS) as
      | typeof FORWARD_PARAMS
      | typeof LORA_FORWARD_PARAMS,
    constants: DEFAULT_TILE,
    grid: gridOf("forward"),
    iterations: (params, tile) => iterationsOf("forward", tile, steps(params.x_cols, rankOf(params))),
    flops: (params) => products(params, params.x_cols, rankOf(params)),
    touched: (params) => rowBytes(params, params.x_cols),
  });
}

function defineBackwardInput(parts: BackwardInputParts, vec4Output: boolean) {
  const { lowRank, accumulate } = parts;
  const bindings: Record<string, Binding> = {
    y: write(),
    x: operand(),
    w: operand(),
    ...(lowRank ? { v: operand(), a: operand() } : {}),
  };
  return defineKernel({
    name: `${lowRank ? "lora" : "matmul"}_backward_input_${accumulate ? "accumulate" : "set"}`,
    source: (tile: Tile) => backwardInputText(tile, parts, vec4Output),
    bindings,
    params: (lowRank ? LORA_BACKWARD_PARAMS : BACKWARD_PARAMS) as
      | typeof BACKWARD_PARAMS
      | typeof LORA_BACKWARD_PARAMS,
    constants: DEFAULT_TILE,
    grid: gridOf("backwardInput"),
    iterations: (params, tile) => iterationsOf("backwardInput", tile, steps(params.x_cols, rankOf(params))),
    flops: (params) => products(params, params.x_cols, rankOf(params)),
    touched: (params) => rowBytes(params, params.x_cols),
  });
}

/** Columns of the narrow operand of the low-rank product; 0 where there is none. */
function rankOf(params: Readonly<Record<string, number>>): number {
  return params.u_cols ?? params.v_cols ?? 0;
}

function defineBackwardFactor(name: string, transposed: boolean) {
  return defineKernel({
    name,
    source: (tile: Tile) => backwardFactorText(tile, transposed),
    bindings: { out: write(), left: operand(), right: operand() },
    params: { rows: "u32", first_row: "u32", left_cols: "u32", right_cols: "u32" },
    constants: registerTile(2, 1, 8),
    grid: ({ left_cols, right_cols }, tile) =>
      gridOf("backwardFactor")({ rows: left_cols, cols: right_cols, first_row: 0 }, tile),
    iterations: ({ rows, first_row }, tile) => iterationsOf("backwardFactor", tile, [rows - first_row]),
    flops: ({ rows, first_row, left_cols, right_cols }) => 2 * (rows - first_row) * left_cols * right_cols,
    touched: ({ rows, first_row, left_cols, right_cols }) => ({
      left: 4 * (rows - first_row) * left_cols,
      right: 4 * (rows - first_row) * right_cols,
    }),
  });
}

const forwards = table(8, (i) => defineForward({ lowRank: bit(i, 0), bias: bit(i, 1), addend: bit(i, 2) }));
const backwards = table(
  8,
  (i) => defineBackwardInput({ lowRank: bit(i, 0), accumulate: bit(i, 1) }, bit(i, 2)),
);

/** y [M, N] = scale · (x [M, K] · w [N, K]ᵀ + u [M, r] · b [N, r]ᵀ) + bias [N] + addend [M, N], with the parts asked for. */
export function forwardKernel({ lowRank = false, bias = false, addend = false }: Partial<ForwardParts>) {
  return forwards[index(lowRank, bias, addend)]!;
}

/** y [M, N] = scale · x [M, K] · w [N, K]ᵀ */
export const matmulForward = forwardKernel({});
/** y [M, N] = scale · (x · wᵀ + u [M, r] · b [N, r]ᵀ), in one pass over the output. */
export const loraForward = forwardKernel({ lowRank: true });

/** What a gradient of an input does with the output that is there: replace it or add to it. */
export type OutputMode = "set" | "accumulate";

/** y [M, K] (+)= x [M, N] · w [N, K]; output columns divisible by 4 are stored as vectors. */
export const matmulBackwardInput = (mode: OutputMode, cols: number) =>
  backwards[index(false, mode === "accumulate", cols % 4 === 0)]!;
/** y [M, K] (+)= x [M, N] · w [N, K] + v [M, r] · a [r, K]. */
export const loraBackwardInput = (mode: OutputMode, cols: number) =>
  backwards[index(true, mode === "accumulate", cols % 4 === 0)]!;

/** dW [out, in] += dy [M, out]ᵀ · x [M, in], the gradient of a trained weight; `left` is dy, `right` is x. */
export const matmulBackwardWeight = defineBackwardFactor("matmul_backward_weight", false);
/** dA [r, in] += v [M, r]ᵀ · x [M, in]; `left` is v, `right` is x. */
export const loraBackwardA = defineBackwardFactor("lora_backward_a", false);
/** dB [out, r] += dy [M, out]ᵀ · u [M, r]; `left` is u, `right` is dy. */
export const loraBackwardB = defineBackwardFactor("lora_backward_b", true);

function table<T>(size: number, make: (i: number) => T): readonly T[] {
  return Array.from({ length: size }, (_, i) => make(i));
}
function bit(of: number, at: number): boolean {
  return (of >> at & 1) === 1;
}
function index(...bits: readonly boolean[]): number {
  return bits.reduce((sum, set, at) => sum + (set ? 1 << at : 0), 0);
}
