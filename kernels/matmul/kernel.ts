/**
 * Matrix products of a linear map with a frozen weight and a low-rank update: forward, gradient of the input,
 * gradients of the factors. See `generate.ts` for the formulas.
 *
 * @module
 */
import { defineKernel, operand, read, write } from "../../src/gpu/kernel.ts";
import { backwardFactorText, backwardInputText, forwardText, type Tile } from "./generate.ts";

export type { Tile } from "./generate.ts";

const DEFAULT_TILE: Tile = { TILE_ROWS: 8, TILE_COLS: 4, LANES: 8 };

/** K4 steps of each product: what one invocation loops over. */
const steps = (...cols: number[]) => cols.reduce((sum, n) => sum + Math.ceil(n / 4), 0);
/** A multiplication and an addition for each of `depths` at each of rows · cols outputs. */
const products = ({ rows, cols }: { rows: number; cols: number }, ...depths: number[]) =>
  2 * rows * cols * depths.reduce((sum, n) => sum + n, 0);
const forwardGrid = ({ rows, cols }: { rows: number; cols: number }, tile: Tile) =>
  [Math.ceil(cols / (tile.TILE_COLS * tile.LANES)), Math.ceil(rows / tile.TILE_ROWS)] as const;
const backwardGrid = ({ rows, cols }: { rows: number; cols: number }, tile: Tile) =>
  [Math.ceil(cols / (4 * tile.TILE_COLS * tile.LANES)), Math.ceil(rows / tile.TILE_ROWS)] as const;

/** y [M, N] = scale · x [M, K] · w [N, K]ᵀ */
export const matmulForward = defineKernel({
  name: "matmul_forward",
  source: (tile) => forwardText(tile, { lowRank: false, plus: "nothing" }),
  bindings: { y: write(), x: operand(), w: operand() },
  params: { rows: "u32", cols: "u32", x_cols: "u32", w_cols: "u32", scale: "f32" },
  constants: DEFAULT_TILE,
  grid: forwardGrid,
  iterations: ({ x_cols }) => steps(x_cols),
  flops: (params) => products(params, params.x_cols),
});

/** y [M, N] = scale · x·wᵀ + addend [M, N]; the addend is a residual stream. */
export const matmulForwardAdd = defineKernel({
  name: "matmul_forward_add",
  source: (tile) => forwardText(tile, { lowRank: false, plus: "addend" }),
  bindings: { y: write(), x: operand(), w: operand(), addend: read() },
  params: { rows: "u32", cols: "u32", x_cols: "u32", w_cols: "u32", scale: "f32" },
  constants: DEFAULT_TILE,
  grid: forwardGrid,
  iterations: ({ x_cols }) => steps(x_cols),
  flops: (params) => products(params, params.x_cols),
});

/** y [M, N] = x·wᵀ + u [M, r] · b [N, r]ᵀ, in one pass over the output. */
export const loraForward = defineKernel({
  name: "lora_forward",
  source: (tile) => forwardText(tile, { lowRank: true, plus: "nothing" }),
  bindings: { y: write(), x: operand(), w: operand(), u: operand(), b: operand() },
  params: {
    rows: "u32",
    cols: "u32",
    x_cols: "u32",
    w_cols: "u32",
    u_cols: "u32",
    b_cols: "u32",
    scale: "f32",
  },
  constants: DEFAULT_TILE,
  grid: forwardGrid,
  iterations: ({ x_cols, u_cols }) => steps(x_cols, u_cols),
  flops: (params) => products(params, params.x_cols, params.u_cols),
});

/** y [M, N] = x·wᵀ + u·bᵀ + addend. */
export const loraForwardAdd = defineKernel({
  name: "lora_forward_add",
  source: (tile) => forwardText(tile, { lowRank: true, plus: "addend" }),
  bindings: { y: write(), x: operand(), w: operand(), u: operand(), b: operand(), addend: read() },
  params: {
    rows: "u32",
    cols: "u32",
    x_cols: "u32",
    w_cols: "u32",
    u_cols: "u32",
    b_cols: "u32",
    scale: "f32",
  },
  constants: DEFAULT_TILE,
  grid: forwardGrid,
  iterations: ({ x_cols, u_cols }) => steps(x_cols, u_cols),
  flops: (params) => products(params, params.x_cols, params.u_cols),
});

/** What a gradient of an input does with the output that is there: replace it or add to it. */
export type OutputMode = "set" | "accumulate";

/** y [M, K] (+)= x [M, N] · w [N, K], for each mode and output width. */
function backwardInputKernel(mode: OutputMode, vec4Output: boolean) {
  const plus = mode === "set" ? "nothing" : "accumulate";
  return defineKernel({
    name: `matmul_backward_input_${mode}`,
    source: (tile: Tile) => backwardInputText(tile, { lowRank: false, plus }, vec4Output),
    bindings: { y: write(), x: operand(), w: operand() },
    params: { rows: "u32", cols: "u32", x_cols: "u32", w_cols: "u32" },
    constants: DEFAULT_TILE,
    grid: backwardGrid,
    iterations: ({ x_cols }) => steps(x_cols),
    flops: (params) => products(params, params.x_cols),
  });
}

/** y [M, K] (+)= x [M, N] · w [N, K] + v [M, r] · a [r, K]. */
function loraBackwardInputKernel(mode: OutputMode, vec4Output: boolean) {
  const plus = mode === "set" ? "nothing" : "accumulate";
  return defineKernel({
    name: `lora_backward_input_${mode}`,
    source: (tile: Tile) => backwardInputText(tile, { lowRank: true, plus }, vec4Output),
    bindings: { y: write(), x: operand(), w: operand(), v: operand(), a: operand() },
    params: { rows: "u32", cols: "u32", x_cols: "u32", w_cols: "u32", v_cols: "u32", a_cols: "u32" },
    constants: DEFAULT_TILE,
    grid: backwardGrid,
    iterations: ({ x_cols, v_cols }) => steps(x_cols, v_cols),
    flops: (params) => products(params, params.x_cols, params.v_cols),
  });
}

const MATMUL_BACKWARD_INPUT = {
  set: [backwardInputKernel("set", false), backwardInputKernel("set", true)],
  accumulate: [backwardInputKernel("accumulate", false), backwardInputKernel("accumulate", true)],
} as const;
const LORA_BACKWARD_INPUT = {
  set: [loraBackwardInputKernel("set", false), loraBackwardInputKernel("set", true)],
  accumulate: [loraBackwardInputKernel("accumulate", false), loraBackwardInputKernel("accumulate", true)],
} as const;

/** The kernel for this mode; output columns divisible by 4 are stored as vectors. */
export const matmulBackwardInput = (mode: OutputMode, cols: number) =>
  MATMUL_BACKWARD_INPUT[mode][cols % 4 === 0 ? 1 : 0];
export const loraBackwardInput = (mode: OutputMode, cols: number) =>
  LORA_BACKWARD_INPUT[mode][cols % 4 === 0 ? 1 : 0];

function backwardFactorKernel(name: string, transposed: boolean) {
  return defineKernel({
    name,
    source: (tile: Tile) => backwardFactorText(tile, transposed),
    bindings: { out: write(), left: operand(), right: operand() },
    params: { rows: "u32", left_cols: "u32", right_cols: "u32" },
    constants: { TILE_ROWS: 2, TILE_COLS: 1, LANES: 8 },
    grid: ({ left_cols, right_cols }, { TILE_ROWS, LANES }) =>
      [Math.ceil(right_cols / (4 * LANES)), Math.ceil(left_cols / (4 * TILE_ROWS))] as const,
    iterations: ({ rows }) => rows,
    flops: ({ rows, left_cols, right_cols }) => 2 * rows * left_cols * right_cols,
  });
}

/** dW [out, in] += dy [M, out]ᵀ · x [M, in], the gradient of a trained weight; `left` is dy, `right` is x. */
export const matmulBackwardWeight = backwardFactorKernel("matmul_backward_weight", false);
/** dA [r, in] += v [M, r]ᵀ · x [M, in]; `left` is v, `right` is x. */
export const loraBackwardA = backwardFactorKernel("lora_backward_a", false);
/** dB [out, r] += dy [M, out]ᵀ · u [M, r]; `left` is u, `right` is dy. */
export const loraBackwardB = backwardFactorKernel("lora_backward_b", true);
