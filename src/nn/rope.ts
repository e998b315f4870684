/**
 * Rotary position embedding in the half-split layout, in place on queries and keys.
 *
 * @see Su et al. 2021, arXiv:2104.09864.
 * @module
 */
import { ropeRotate } from "../../kernels/rope/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Tables of cosines and sines, [positions, headDim / 2], computed on the host in f64. */
export interface RopeTables {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Rotates x [R, heads · headDim]; row r is position r mod rowLength. The way back is the gradient. */
export function rotate(
  run: StepRecorder,
  x: Tensor,
  { cos, sin }: RopeTables,
  { rowLength, headDim, direction }: { rowLength: number; headDim: number; direction: 1 | -1 },
): void {
  const { rows, cols } = matrixShape(x);
  if (rowLength > matrixShape(cos).rows) {
    throw new RangeError(
      `Cannot rotate rows of ${rowLength} tokens as the tables hold ${matrixShape(cos).rows} positions`,
    );
  }
  run.dispatch(ropeRotate, { x, cos_table: cos, sin_table: sin }, {
    rows,
    row_length: rowLength,
    heads: cols / headDim,
    half_dim: headDim / 2,
    direction,
  });
}
