/**
 * Gated activation of the feed-forward block: y = silu(gate) · up.
 *
 * @see Shazeer 2020, arXiv:2002.05202.
 * @module
 */
import { swigluBackward, swigluForward } from "../../kernels/swiglu/kernel.ts";
import { BYTES_PER_ELEMENT, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Kept from forward for backward, which overwrites both by their gradients. */
export interface SwigluSaved {
  readonly gate: Tensor;
  readonly up: Tensor;
}

export function forward(run: StepRecorder, gate: Tensor, up: Tensor): { y: Tensor; saved: SwigluSaved } {
  const y = run.tensor("swiglu y", gate.shape);
  run.dispatch(swigluForward, { y, gate, up }, { count: gate.bytes / BYTES_PER_ELEMENT });
  return { y, saved: { gate, up } };
}

/** Turns the saved gate and up into dgate and dup, in place. */
export function backward(
  run: StepRecorder,
  dy: Tensor,
  { gate, up }: SwigluSaved,
): { dgate: Tensor; dup: Tensor } {
  run.dispatch(swigluBackward, { gate, up, dy }, { count: gate.bytes / BYTES_PER_ELEMENT });
  return { dgate: gate, dup: up };
}
