/**
 * Matrix products as layers record them: which kernel, which tile, and how many launches.
 *
 * @module
 */
import {
  forwardKernel,
  loraBackwardInput,
  matmulBackwardInput,
  type matmulBackwardWeight,
  type OutputMode,
  type ProductOp,
  spanOf,
  type Tile,
} from "../../kernels/matmul/kernel.ts";
import { LOOP_BUDGET, type Operand } from "../gpu/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";
import { tileFor } from "./variants.ts";

/** y [M, N] = scale · x [M, inner] · w [N, inner]ᵀ, and what is added to it. */
export interface ForwardProduct {
  readonly y: Tensor;
  readonly x: Operand;
  readonly w: Operand;
  readonly inner: number;
  /** Default 1. */
  readonly scale?: number;
  /** + u [M, rank] · b [N, rank]ᵀ */
  readonly low?: { readonly u: Operand; readonly b: Operand; readonly rank: number } | null;
  /** [N] */
  readonly bias?: Tensor | null;
  /** [M, N] */
  readonly addend?: Tensor | null;
}

/** Records y = scale · (x·wᵀ + u·bᵀ) + bias + addend. */
export function recordForward(run: StepRecorder, product: ForwardProduct): void {
  const { y, x, w, inner, scale = 1, low = null, bias = null, addend = null } = product;
  const { rows, cols } = matrixShape(y);
  const kernel = forwardKernel({ lowRank: low !== null, bias: bias !== null, addend: addend !== null });
  const values = {
    y,
    x,
    w,
    ...(low && { u: low.u, b: low.b }),
    ...(bias && { bias }),
    ...(addend && { addend }),
  };
  const rank = low && { u_cols: low.rank, b_cols: low.rank };
  const tile = tileFor(run.variants, { op: "forward", rows, cols });
  for (const block of rowBlocks(run, "forward", tile, rows, 2 * cols * (inner + (low?.rank ?? 0)))) {
    const sizes = { ...block, cols, x_cols: inner, w_cols: inner, ...rank, scale };
    run.dispatch(kernel, values, sizes, tile);
  }
}

/** y [M, K] (+)= x [M, inner] · w [inner, K], and what is added to it. */
export interface BackwardInputProduct {
  readonly y: Tensor;
  readonly mode: OutputMode;
  readonly x: Operand;
  readonly w: Operand;
  readonly inner: number;
  /** + v [M, rank] · a [rank, K] */
  readonly low?: { readonly v: Operand; readonly a: Operand; readonly rank: number } | null;
}

/** Records y (+)= x·w + v·a. */
export function recordBackwardInput(run: StepRecorder, product: BackwardInputProduct): void {
  const { y, mode, x, w, inner, low = null } = product;
  const { rows, cols } = matrixShape(y);
  const kernel = low ? loraBackwardInput(mode, cols) : matmulBackwardInput(mode, cols);
  const values = { y, x, w, ...(low && { v: low.v, a: low.a }) };
  const rank = low && { v_cols: low.rank, a_cols: cols };
  const tile = tileFor(run.variants, { op: "backwardInput", rows, cols });
  for (const block of rowBlocks(run, "backwardInput", tile, rows, 2 * cols * (inner + (low?.rank ?? 0)))) {
    run.dispatch(kernel, values, { ...block, cols, x_cols: inner, w_cols: cols, ...rank }, tile);
  }
}

/** out += left [M, leftCols]ᵀ · right [M, rightCols], as the kernel orders it. */
export interface FactorProduct {
  readonly out: Tensor;
  readonly left: Operand;
  readonly right: Operand;
  readonly rows: number;
  readonly leftCols: number;
  readonly rightCols: number;
}

/** Records out += leftᵀ·right or its transpose. A sum over many rows is divided; its parts add up in `out`. */
export function recordBackwardFactor(
  run: StepRecorder,
  kernel: typeof matmulBackwardWeight,
  { out, left, right, rows, leftCols, rightCols }: FactorProduct,
): void {
  const tile = tileFor(run.variants, { op: "backwardFactor", rows: leftCols, cols: rightCols });
  for (const block of rowBlocks(run, "backwardFactor", tile, rows, 2 * leftCols * rightCols)) {
    const sizes = { ...block, left_cols: leftCols, right_cols: rightCols };
    run.dispatch(kernel, { out, left, right }, sizes, tile);
  }
}

/**
 * Rows of each launch, so that none computes more than the adapter's `dispatchFlops`: systems reset a GPU that does not
 * answer for seconds, and a page stands still meanwhile.
 */
export function rowBlocks(
  { variants }: Pick<StepRecorder, "variants">,
  op: ProductOp,
  tile: Tile,
  rows: number,
  rowFlops: number,
): { first_row: number; rows: number }[] {
  const unit = op === "backwardFactor" ? 1 : spanOf(op, tile).rows;
  const most = op === "backwardFactor" ? MOST_SUMMED_ROWS : Infinity;
  const fitting = Math.max(unit, Math.floor(variants.dispatchFlops / rowFlops / unit) * unit);
  const size = Math.min(rows, most, fitting);
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => {
    return { first_row: i * size, rows: Math.min(rows, (i + 1) * size) };
  });
}

/** Half of what one invocation may loop over, since tiles with workgroup memory loop over loads too. */
const MOST_SUMMED_ROWS = LOOP_BUDGET / 2;
