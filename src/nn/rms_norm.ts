/**
 * Root mean square normalisation: y = x · (mean(x²) + eps)^(−1/2) · (offset + weight), of whole rows, or of each head of a
 * row where the weight is as wide as a head.
 *
 * @see Zhang & Sennrich 2019, arXiv:1910.07467.
 * @module
 */
import { rmsNormBackward, rmsNormBackwardWeight, rmsNormForward } from "../../kernels/rms_norm/kernel.ts";
import { LOOP_BUDGET } from "../gpu/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import { rowLanes } from "./row_lanes.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Kept from forward for backward: x [R, H·C] and rstd [R, H]. */
export interface RmsNormSaved {
  readonly x: Tensor;
  readonly rstd: Tensor;
}

export class RmsNorm {
  /** [C] */
  readonly weight: Tensor;
  readonly eps: number;
  /** Where the weight's gradient accumulates; null for a frozen weight. */
  readonly weightGrad: Tensor | null;
  /** What is added to the weight: 1 in Gemma, whose weights are stored around zero. */
  readonly offset: number;

  constructor(weight: Tensor, eps: number, weightGrad: Tensor | null = null, offset = 0) {
    this.weight = weight;
    this.eps = eps;
    this.weightGrad = weightGrad;
    this.offset = offset;
  }

  forward(run: StepRecorder, x: Tensor): { y: Tensor; saved: RmsNormSaved } {
    const { rows, cols, heads, width } = this.#sizes(x);
    const y = run.tensor(`${this.weight.label} y`, [rows, cols]);
    const rstd = run.tensor(`${this.weight.label} rstd`, [rows, heads]);
    run.dispatch(
      rmsNormForward,
      { y, rstd, x: run.readOnce(x), weight: run.operand(this.weight) },
      { rows, heads, y_cols: cols, x_cols: cols, weight_cols: width, offset: this.offset, eps: this.eps },
      rowLanes(run.variants.rows, width),
    );
    return { y, saved: { x, rstd } };
  }

  /** dx [R, H·C]: the gradient with respect to x, plus the addend that reaches x by the residual path. */
  backward(run: StepRecorder, dy: Tensor, { x, rstd }: RmsNormSaved, addend: Tensor | null): Tensor {
    this.#backwardWeight(run, dy, x, rstd);
    const { rows, cols, heads, width } = this.#sizes(x);
    const dx = run.tensor(`${this.weight.label} dx`, [rows, cols]);
    run.dispatch(
      rmsNormBackward,
      {
        dx,
        dy: run.readOnce(dy),
        x: run.readOnce(x),
        weight: run.operand(this.weight),
        addend: run.readOnce(addend ?? dy),
        rstd,
      },
      {
        rows,
        heads,
        dx_cols: cols,
        dy_cols: cols,
        x_cols: cols,
        weight_cols: width,
        addend_cols: cols,
        offset: this.offset,
      },
      { ...rowLanes(run.variants.rows, width), ADDEND: addend ? 1 : 0 },
    );
    return dx;
  }

  #backwardWeight(run: StepRecorder, dy: Tensor, x: Tensor, rstd: Tensor): void {
    if (!this.weightGrad) return;
    const { rows, cols, heads, width } = this.#sizes(x);
    const most = Math.floor(LOOP_BUDGET / (heads + 2));
    for (let first = 0; first < rows; first += most) {
      run.dispatch(
        rmsNormBackwardWeight,
        { dweight: this.weightGrad, dy: run.readOnce(dy), x: run.readOnce(x), rstd },
        {
          first_row: first,
          rows: Math.min(most, rows - first),
          heads,
          cols: width,
          dy_cols: cols,
          x_cols: cols,
        },
      );
    }
  }

  /** @throws {RangeError} If x is not whole heads, or several of a width that is not a multiple of 4. */
  #sizes(x: Tensor) {
    const { rows, cols } = matrixShape(x), width = matrixShape(this.weight).cols, heads = cols / width;
    if (!Number.isInteger(heads) || (heads > 1 && width % 4 !== 0)) {
      throw new RangeError(
        `Cannot norm "${x.label}" by "${this.weight.label}" as ${cols} columns are not one head of ${width}, ` +
          "nor several of a width that is a multiple of 4",
      );
    }
    return { rows, cols, heads, width };
  }
}
