/**
 * Dropout on the input of a low-rank update, in training steps alone. The base product sees the whole input.
 *
 *     x̃ = k ⊙ x / (1 − rate)      dx += k ⊙ dx̃ / (1 − rate)      k = 0 or 1, drawn
 *
 * The draws are addressed by seed, step, tensor and element, so backward draws k again rather than keeping it.
 *
 * @see Srivastava et al. 2014, Journal of Machine Learning Research 15.
 * @module
 */
import { applyDropout, dropoutParams } from "../../kernels/dropout/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Of one map. */
export interface Dropout {
  /** Share of the elements that is left out, 0 to below 1. */
  readonly rate: number;
  /** Of `streamOf()`: what sets its draws apart from those of other maps. */
  readonly stream: number;
}

/** Of a training program: `dropoutNumbers()` of the micro-batch, and the tokens of a row. */
export interface DropoutDraws {
  readonly numbers: Tensor;
  readonly rowLength: number;
}

/** x̃ for x [R, in]; x itself in programs that draw nothing. */
export function droppedInput(run: StepRecorder, x: Tensor, dropout: Dropout): Tensor {
  if (!run.draws) return x;
  const y = run.tensor(`${x.label} after dropout`, x.shape);
  apply(run, y, x, dropout, run.draws, 0);
  return y;
}

/** dx += the gradient that reaches x through x̃, of which dropped [R, in] is that of x̃. */
export function addDropped(run: StepRecorder, dx: Tensor, dropped: Tensor, dropout: Dropout): void {
  apply(run, dx, dropped, dropout, run.draws!, 1);
}

function apply(
  run: StepRecorder,
  y: Tensor,
  x: Tensor,
  { rate, stream }: Dropout,
  { numbers, rowLength }: DropoutDraws,
  ACCUMULATE: 0 | 1,
): void {
  const { rows: tokens, cols } = matrixShape(x);
  run.dispatch(
    applyDropout,
    { y, x, numbers },
    { tokens, cols, row_length: rowLength, stream, ...dropoutParams(rate) },
    { ...applyDropout.constants, ACCUMULATE },
  );
}
