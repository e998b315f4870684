/**
 * Linear map with a frozen base and a trainable low-rank update, or with a base that is trained itself.
 *
 *     y = x·W0ᵀ + u·Bᵀ (+ addend),   u = s·x·Aᵀ,   s = alpha / rank
 *
 * With v = s·dy·B, backward is
 *
 *     dB += dyᵀ·u      dA += vᵀ·x      dx (+)= dy·W0 + v·A
 *
 * A frozen W0 [out, in] never receives a gradient; a trained one (then without LoRA) gets dW0 += dyᵀ·x. A [rank, in] starts uniform and B [out, rank] zero, so that the first forward
 * equals the base model's. The low-rank products run inside the base product's tile: y and dx are written once.
 *
 * @see Hu et al. 2021, arXiv:2106.09685, section 4.1.
 * @module
 */
import {
  loraBackwardA,
  loraBackwardB,
  loraBackwardInput,
  loraForward,
  loraForwardAdd,
  matmulBackwardInput,
  matmulBackwardWeight,
  matmulForward,
  matmulForwardAdd,
  type OutputMode,
} from "../../kernels/matmul/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { Parameter } from "./parameter_pool.ts";
import type { StepRecorder } from "./step_recorder.ts";
import { narrowed } from "./variants.ts";
import type { MatrixWeight } from "./weight.ts";

/** The trainable half of a layer. */
export interface LowRank {
  /** [rank, in] */
  readonly a: Parameter;
  /** [out, rank] */
  readonly b: Parameter;
  readonly rank: number;
  /** alpha / rank */
  readonly scaling: number;
}

/** Kept from forward for backward: x [R, in] (shared with the layer before) and u [R, rank]. */
export interface LoraLinearSaved {
  readonly x: Tensor;
  readonly u: Tensor | null;
}

export class LoraLinear {
  readonly weight: MatrixWeight;
  readonly lora: LowRank | null;

  /** @throws {RangeError} If the rank is not in 1..min(in, out). */
  constructor(weight: MatrixWeight, lora: LowRank | null) {
    const most = Math.min(weight.rows, weight.cols);
    if (lora && !(Number.isInteger(lora.rank) && lora.rank >= 1 && lora.rank <= most)) {
      throw new RangeError(
        `Cannot apply LoRA to "${weight.label}" as rank must be in 1..${most}: current value is ${lora.rank}`,
      );
    }
    this.weight = weight;
    this.lora = lora;
  }

  /** y [R, out]; `addend` [R, out] is a residual stream. */
  forward(run: StepRecorder, x: Tensor, addend?: Tensor): { y: Tensor; saved: LoraLinearSaved } {
    const { rows, cols } = matrixShape(x);
    const out = this.weight.rows;
    const y = run.tensor(`${this.weight.label} y`, [rows, out]);
    const bound = { y, x: run.operand(x), w: this.weight.operandOn(run) };
    const sizes = { rows, cols: out, x_cols: cols, w_cols: cols, scale: 1 };
    if (!this.lora) {
      if (addend) run.dispatch(matmulForwardAdd, { ...bound, addend }, sizes, run.variants.forward);
      else run.dispatch(matmulForward, bound, sizes, run.variants.forward);
      return { y, saved: { x, u: null } };
    }
    const { b, rank } = this.lora;
    const saved = this.recompute(run, x);
    const u = saved.u!;
    const low = { u: run.operand(u), b: run.operand(b.value) };
    const lowSizes = { rows, cols: out, x_cols: cols, w_cols: cols, u_cols: rank, b_cols: rank, scale: 1 };
    if (addend) run.dispatch(loraForwardAdd, { ...bound, ...low, addend }, lowSizes, run.variants.forward);
    else run.dispatch(loraForward, { ...bound, ...low }, lowSizes, run.variants.forward);
    return { y, saved };
  }

  /** What {@link forward} keeps, without its output: u = s·x·Aᵀ. */
  recompute(run: StepRecorder, x: Tensor): LoraLinearSaved {
    if (!this.lora) return { x, u: null };
    const { rows, cols } = matrixShape(x);
    const { a, rank, scaling } = this.lora;
    const u = run.tensor(`${this.weight.label} u`, [rows, rank]);
    run.dispatch(
      matmulForward,
      { y: u, x: run.operand(x), w: run.operand(a.value) },
      { rows, cols: rank, x_cols: cols, w_cols: cols, scale: scaling },
      narrowed(run.variants.forward, rank),
    );
    return { x, u };
  }

  /**
   * Accumulates the factors' gradients and writes dx [R, in] (null where nobody needs it: below the first layer
   * everything is frozen).
   */
  backward(run: StepRecorder, dy: Tensor, saved: LoraLinearSaved, dx: Tensor | null, mode: OutputMode): void {
    const { rows, cols: out } = matrixShape(dy);
    const cols = this.weight.cols;
    if (this.weight.grad) {
      run.dispatch(
        matmulBackwardWeight,
        { out: this.weight.grad, left: run.operand(dy), right: run.operand(saved.x) },
        { rows, left_cols: out, right_cols: cols },
        run.variants.backwardFactor,
      );
    }
    if (!this.lora) {
      if (!dx) return;
      run.dispatch(
        matmulBackwardInput(mode, cols),
        { y: dx, x: run.operand(dy), w: this.weight.operandOn(run) },
        { rows, cols, x_cols: out, w_cols: cols },
        run.variants.backwardInput,
      );
      return;
    }
    const { a, b, rank, scaling } = this.lora;
    const v = run.tensor(`${this.weight.label} v`, [rows, rank]);
    run.dispatch(
      matmulForward,
      { y: v, x: run.operand(dy), w: run.transposed(b.value) },
      { rows, cols: rank, x_cols: out, w_cols: out, scale: scaling },
      narrowed(run.variants.forward, rank),
    );
    run.dispatch(
      loraBackwardB,
      { out: b.grad, left: run.operand(saved.u!), right: run.operand(dy) },
      { rows, left_cols: rank, right_cols: out },
      run.variants.backwardFactor,
    );
    run.dispatch(
      loraBackwardA,
      { out: a.grad, left: run.operand(v), right: run.operand(saved.x) },
      { rows, left_cols: rank, right_cols: cols },
      run.variants.backwardFactor,
    );
    if (!dx) return;
    run.dispatch(
      loraBackwardInput(mode, cols),
      {
        y: dx,
        x: run.operand(dy),
        w: this.weight.operandOn(run),
        v: run.operand(v),
        a: run.operand(a.value),
      },
      { rows, cols, x_cols: out, w_cols: cols, v_cols: rank, a_cols: cols },
      run.variants.backwardInput,
    );
  }
}
