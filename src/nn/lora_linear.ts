/**
 * Linear map with a frozen base and a trainable low-rank update, or with a base that is trained itself.
 *
 *     y = x·W0ᵀ + u·Bᵀ (+ bias) (+ addend),   u = s·x·Aᵀ,   s = alpha / rank or alpha / √rank
 *
 * With v = s·dy·B, backward is
 *
 *     dB += dyᵀ·u      dA += vᵀ·x      dx (+)= dy·W0 + v·A
 *
 * A frozen W0 [out, in] or bias [out] never receives a gradient; trained ones (then without LoRA) get dW0 += dyᵀ·x and
 * dbias += Σ_r dy_r.
 * A [rank, in] starts uniform and B [out, rank] zero, so that the first forward equals the base model's. The low-rank
 * products run inside the base product's tile: y and dx are written once. With a magnitude (DoRA), what is called y above
 * is z, and dy its gradient dz: see `magnitude.ts`. With dropout, A sees x̃ in place of x: see `dropout.ts`.
 *
 * @see Hu et al. 2021, arXiv:2106.09685, section 4.1.
 * @module
 */
import { MOST_SUMMED_ROWS, sumColumns } from "../../kernels/columns/kernel.ts";
import {
  loraBackwardA,
  loraBackwardB,
  matmulBackwardWeight,
  type OutputMode,
} from "../../kernels/matmul/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import { addDropped, type Dropout, droppedInput } from "./dropout.ts";
import type { Magnitude } from "./magnitude.ts";
import type { Parameter } from "./parameter_pool.ts";
import { type ForwardProduct, recordBackwardFactor, recordBackwardInput, recordForward } from "./products.ts";
import type { StepRecorder } from "./step_recorder.ts";
import type { MatrixWeight } from "./weight.ts";

/** The trainable half of a layer. */
export interface LowRank {
  /** [rank, in] */
  readonly a: Parameter;
  /** [out, rank] */
  readonly b: Parameter;
  readonly rank: number;
  /** alpha / rank, or alpha / √rank. */
  readonly scaling: number;
  /** Of DoRA; default none. */
  readonly magnitude?: Magnitude | null;
  /** On the input of A while training; default none. */
  readonly dropout?: Dropout | null;
}

/** Kept from forward for backward: x [R, in] (shared with the layer before), u [R, rank] and, for DoRA, z [R, out]. */
export interface LoraLinearSaved {
  readonly x: Tensor;
  readonly u: Tensor | null;
  readonly z: Tensor | null;
}

export class LoraLinear {
  readonly weight: MatrixWeight;
  readonly lora: LowRank | null;
  /** [out] */
  readonly bias: Tensor | null;
  /** Where the bias's gradient accumulates; null for a frozen one. */
  readonly biasGrad: Tensor | null;

  /** @throws {RangeError} If the rank is not in 1..2·min(in, out), or the bias has not `out` elements. */
  constructor(
    weight: MatrixWeight,
    lora: LowRank | null,
    bias: Tensor | null = null,
    biasGrad: Tensor | null = null,
  ) {
    // no update has a rank beyond the smaller side; adapters of runs that began with a part of the base say it twice
    const most = 2 * Math.min(weight.rows, weight.cols);
    if (lora && !(Number.isInteger(lora.rank) && lora.rank >= 1 && lora.rank <= most)) {
      throw new RangeError(
        `Cannot apply LoRA to "${weight.label}" as rank must be in 1..${most}: current value is ${lora.rank}`,
      );
    }
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== weight.rows)) {
      throw new RangeError(
        `Cannot add "${bias.label}" [${bias.shape}] to what "${weight.label}" gives: it must be [${weight.rows}]`,
      );
    }
    this.weight = weight;
    this.lora = lora;
    this.bias = bias;
    this.biasGrad = biasGrad;
  }

  /** y [R, out]; `addend` [R, out] is a residual stream. */
  forward(run: StepRecorder, x: Tensor, addend?: Tensor): { y: Tensor; saved: LoraLinearSaved } {
    const saved = this.recompute(run, x);
    const y = run.tensor(`${this.weight.label} y`, [matrixShape(x).rows, this.weight.rows]);
    if (saved.z) this.lora!.magnitude!.forward(run, saved.z, y, this.bias, addend ?? null);
    else this.#product(run, y, saved, { bias: this.bias, addend: addend ?? null });
    return { y, saved };
  }

  /** What {@link forward} keeps, without its output: u = s·x·Aᵀ and, for DoRA, z. */
  recompute(run: StepRecorder, x: Tensor): LoraLinearSaved {
    if (!this.lora) return { x, u: null, z: null };
    const { rows, cols } = matrixShape(x);
    const { a, rank, scaling, magnitude = null } = this.lora;
    const u = run.tensor(`${this.weight.label} u`, [rows, rank]);
    const seen = run.operand(this.#seen(run, x));
    recordForward(run, { y: u, x: seen, w: run.operand(a.value), inner: cols, scale: scaling });
    const z = magnitude && run.tensor(`${this.weight.label} z`, [rows, this.weight.rows]);
    if (z) this.#product(run, z, { x, u });
    return { x, u, z };
  }

  /** y = x·W0ᵀ + u·Bᵀ and what is added to it. */
  #product(
    run: StepRecorder,
    y: Tensor,
    { x, u }: Pick<LoraLinearSaved, "x" | "u">,
    added: Pick<ForwardProduct, "bias" | "addend"> = {},
  ): void {
    recordForward(run, {
      y,
      x: run.operand(x),
      w: this.weight.operandOn(run),
      inner: this.weight.cols,
      low: this.lora && { u: run.operand(u!), b: run.operand(this.lora.b.value), rank: this.lora.rank },
      ...added,
    });
  }

  /**
   * Accumulates the factors' gradients and writes dx [R, in] (null where nobody needs it: below the first layer
   * everything is frozen).
   */
  backward(run: StepRecorder, dy: Tensor, saved: LoraLinearSaved, dx: Tensor | null, mode: OutputMode): void {
    const { rows, cols: out } = matrixShape(dy);
    if (this.biasGrad) addColumnSums(run, dy, this.biasGrad);
    if (this.weight.grad) {
      recordBackwardFactor(run, matmulBackwardWeight, {
        out: this.weight.grad,
        left: run.operand(dy),
        right: run.operand(saved.x),
        rows,
        leftCols: out,
        rightCols: this.weight.cols,
      });
    }
    const dz = saved.z ? this.lora!.magnitude!.backward(run, dy, saved.z) : dy;
    const v = this.lora && this.#factors(run, this.lora, dz, saved);
    if (!dx) return;
    const low = v && { v: run.operand(v), a: run.operand(this.lora!.a.value), rank: this.lora!.rank };
    const dropout = run.draws && this.lora?.dropout;
    recordBackwardInput(run, {
      y: dx,
      mode,
      x: run.operand(dz),
      w: this.weight.operandOn(run),
      inner: out,
      low: dropout ? null : low,
    });
    if (!dropout) return;
    const dropped = run.tensor(`${this.weight.label} dropped dx`, [rows, this.weight.cols]);
    recordBackwardInput(run, { y: dropped, mode: "set", x: low!.v, w: low!.a, inner: low!.rank });
    addDropped(run, dx, dropped, dropout);
  }

  /** What A sees of x. */
  #seen(run: StepRecorder, x: Tensor): Tensor {
    const dropout = this.lora?.dropout;
    return dropout ? droppedInput(run, x, dropout) : x;
  }

  /** Accumulates dB += dyᵀ·u and dA += vᵀ·x; gives v = s·dy·B. */
  #factors(run: StepRecorder, lora: LowRank, dy: Tensor, { x, u }: LoraLinearSaved): Tensor {
    const { rows, cols: out } = matrixShape(dy);
    const { a, b, rank, scaling } = lora;
    const v = run.tensor(`${this.weight.label} v`, [rows, rank]);
    recordForward(run, {
      y: v,
      x: run.operand(dy),
      w: run.transposed(b.value),
      inner: out,
      scale: scaling,
    });
    recordBackwardFactor(run, loraBackwardB, {
      out: b.grad,
      left: run.operand(u!),
      right: run.operand(dy),
      rows,
      leftCols: rank,
      rightCols: out,
    });
    recordBackwardFactor(run, loraBackwardA, {
      out: a.grad,
      left: run.operand(v),
      right: run.operand(this.#seen(run, x)),
      rows,
      leftCols: rank,
      rightCols: this.weight.cols,
    });
    return v;
  }
}

/** sums [C] += Σ_r x_r */
function addColumnSums(run: StepRecorder, x: Tensor, sums: Tensor): void {
  const { rows, cols } = matrixShape(x);
  for (let first = 0; first < rows; first += MOST_SUMMED_ROWS) {
    const sizes = { first_row: first, rows: Math.min(MOST_SUMMED_ROWS, rows - first), cols };
    run.dispatch(sumColumns, { sums, x }, sizes);
  }
}
