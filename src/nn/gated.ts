/**
 * Gated activation of the feed-forward block: y = g(gate) · up with g = silu or gelu.
 *
 * @see Shazeer 2020, arXiv:2002.05202.
 * @module
 */
import { ACTIVATIONS, gatedBackward, gatedForward } from "../../kernels/gated/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** g by name; `gelu_tanh` is its approximation by tanh. */
export type Activation = keyof typeof ACTIVATIONS;

/** Kept from forward for backward. */
export interface GatedSaved {
  readonly gate: Tensor;
  readonly up: Tensor;
  readonly activation: Activation;
}

/** y [R, F] from gate and up [R, F]. */
export function forward(
  run: StepRecorder,
  gate: Tensor,
  up: Tensor,
  activation: Activation = "silu",
): { y: Tensor; saved: GatedSaved } {
  const { rows, cols } = matrixShape(gate);
  const y = run.tensor("gated y", [rows, cols]);
  run.dispatch(
    gatedForward,
    { y, gate: run.readOnce(gate), up: run.readOnce(up) },
    { rows, y_cols: cols, gate_cols: cols, up_cols: cols },
    { ...gatedForward.constants, ACTIVATION: ACTIVATIONS[activation] },
  );
  return { y, saved: { gate, up, activation } };
}

/** dgate and dup [R, F] for dy [R, F]. */
export function backward(
  run: StepRecorder,
  dy: Tensor,
  { gate, up, activation }: GatedSaved,
): { dgate: Tensor; dup: Tensor } {
  const { rows, cols } = matrixShape(gate);
  const dgate = run.tensor("dgate", [rows, cols]), dup = run.tensor("dup", [rows, cols]);
  run.dispatch(
    gatedBackward,
    { dgate, dup, gate: run.readOnce(gate), up: run.readOnce(up), dy: run.readOnce(dy) },
    { rows, dgate_cols: cols, dup_cols: cols, gate_cols: cols, up_cols: cols, dy_cols: cols },
    { ...gatedBackward.constants, ACTIVATION: ACTIVATIONS[activation] },
  );
  return { dgate, dup };
}
