/**
 * NEFTune: noise on the embedded tokens of a training step. Its gradient with respect to the embedding is that without it.
 *
 * @see Jain et al. 2023, arXiv:2310.05914.
 * @module
 */
import { addNoise } from "../../kernels/noise/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Adds to x [R, C] in place, R = B · rowLength. `noise` holds `noiseNumbers()` of the micro-batch. */
export function recordNoise(run: StepRecorder, x: Tensor, noise: Tensor, rowLength: number): void {
  const { rows: tokens, cols } = matrixShape(x);
  run.dispatch(addNoise, { x, noise }, { tokens, cols, row_length: rowLength });
}
