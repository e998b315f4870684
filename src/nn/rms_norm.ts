/**
 * Root mean square normalisation: y = x · (mean(x²) + eps)^(−1/2) · weight.
 *
 * @see Zhang & Sennrich 2019, arXiv:1910.07467.
 * @module
 */
import { rmsNormBackward, rmsNormBackwardWeight, rmsNormForward } from "../../kernels/rms_norm/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Kept from forward for backward: x [R, C] and rstd [R]. */
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

  constructor(weight: Tensor, eps: number, weightGrad: Tensor | null = null) {
    this.weight = weight;
    this.eps = eps;
    this.weightGrad = weightGrad;
  }

  forward(run: StepRecorder, x: Tensor): { y: Tensor; saved: RmsNormSaved } {
    const { rows, cols } = matrixShape(x);
    const y = run.tensor(`${this.weight.label} y`, [rows, cols]);
    const rstd = run.tensor(`${this.weight.label} rstd`, [rows]);
    const lanes = { WORKGROUP_SIZE: run.variants.rowLanes };
    run.dispatch(rmsNormForward, { y, rstd, x, weight: this.weight }, { rows, cols, eps: this.eps }, lanes);
    return { y, saved: { x, rstd } };
  }

  /** dx += gradient with respect to x; dx holds what reaches x by the residual path. */
  backward(run: StepRecorder, dy: Tensor, { x, rstd }: RmsNormSaved, dx: Tensor): void {
    if (this.weightGrad) {
      run.dispatch(rmsNormBackwardWeight, { dweight: this.weightGrad, dy, x, rstd }, matrixShape(x));
    }
    const lanes = { WORKGROUP_SIZE: run.variants.rowLanes };
    run.dispatch(rmsNormBackward, { dx, dy, x, weight: this.weight, rstd }, matrixShape(x), lanes);
  }
}
