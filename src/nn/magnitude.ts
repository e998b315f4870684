/**
 * DoRA: the magnitude of each output of a linear map is trained apart from its direction V = W0 + s·B·A.
 *
 *     y = g ⊙ z (+ bias) (+ addend),   z = x·Vᵀ,   g = m / n,   n_o = ‖V_o‖
 *
 * n is a constant in backward (section 4.3), which is
 *
 *     dz = g ⊙ dy      dm_o += Σ_r dy_ro·z_ro / n_o
 *
 * The norms need neither V nor a pass over W0 for each batch. They are computed when B, A or m have changed:
 *
 *     n² = ‖W0‖² + s·⟨B, tᵀ⟩ of each row,   t = 2·A·W0ᵀ + s·A·Aᵀ·Bᵀ  [rank, out]
 *
 * of which ‖W0‖² never changes. A row of V that is all zeros has no direction: its output stays zero.
 *
 * @see Liu et al. 2024, arXiv:2402.09353.
 * @module
 */
import {
  doraBackwardMagnitude,
  doraGain,
  doraNorms,
  MOST_MAGNITUDE_ROWS,
  rowSquares,
} from "../../kernels/dora/kernel.ts";
import { matrixShape, type Tensor, tensor } from "../tensor.ts";
import type { LowRank } from "./lora_linear.ts";
import type { Parameter } from "./parameter_pool.ts";
import { recordForward } from "./products.ts";
import { rowLanes } from "./row_lanes.ts";
import type { StepRecorder } from "./step_recorder.ts";
import type { MatrixWeight } from "./weight.ts";

export class Magnitude {
  /** m [out] */
  readonly parameter: Parameter;
  /** ‖W0‖² of each row [out]. */
  readonly #squares: Tensor;
  /** n [out] */
  readonly #norms: Tensor;
  /** g [out] */
  readonly #gains: Tensor;

  /** Plans what is kept beside the parameter; takes no memory. */
  constructor(parameter: Parameter) {
    const { shape } = parameter.value;
    this.parameter = parameter;
    this.#squares = tensor(`${parameter.name} squares`, shape);
    this.#norms = tensor(`${parameter.name} norms`, shape);
    this.#gains = tensor(`${parameter.name} gains`, shape);
  }

  /** Tensors that whoever runs the model gives memory to, and that stay from step to step. */
  get kept(): readonly Tensor[] {
    return [this.#squares, this.#norms, this.#gains];
  }

  /** Records ‖W0‖² of each row, once for all. */
  recordSquares(run: StepRecorder, weight: MatrixWeight): void {
    run.dispatch(
      rowSquares,
      { squares: this.#squares, w: weight.operandOn(run) },
      { rows: weight.rows, w_cols: weight.cols },
      rowLanes(run.variants.rows, weight.cols, 1),
    );
  }

  /** Records n and g from B, A and m as they are. */
  recordNorms(run: StepRecorder, weight: MatrixWeight, { a, b, rank, scaling }: LowRank): void {
    const { rows, cols } = weight;
    const gram = run.tensor(`${weight.label} A Aᵀ`, [rank, rank]);
    const t = run.tensor(`${weight.label} V Aᵀ`, [rank, rows]);
    const x = run.operand(a.value);
    recordForward(run, { y: gram, x, w: x, inner: cols, scale: scaling / 2 });
    recordForward(run, {
      y: t,
      x,
      w: weight.operandOn(run),
      inner: cols,
      scale: 2,
      low: { u: run.operand(gram), b: run.operand(b.value), rank },
    });
    const magnitude = this.parameter.value;
    run.dispatch(
      doraNorms,
      { norms: this.#norms, gains: this.#gains, squares: this.#squares, magnitude, b: b.value, t },
      { rows, rank, scaling },
    );
  }

  /** Records m = n, with which the map is the one without magnitudes. */
  recordStart(run: StepRecorder): void {
    run.copy(this.#norms, this.parameter.value);
  }

  /** y [R, out] = g ⊙ z (+ bias) (+ addend) */
  forward(run: StepRecorder, z: Tensor, y: Tensor, bias: Tensor | null, addend: Tensor | null): void {
    this.#gain(run, z, y, bias, addend);
  }

  /** Accumulates dm; gives dz [R, out]. */
  backward(run: StepRecorder, dy: Tensor, z: Tensor): Tensor {
    const { rows, cols } = matrixShape(dy);
    for (let first = 0; first < rows; first += MOST_MAGNITUDE_ROWS) {
      run.dispatch(
        doraBackwardMagnitude,
        { dmagnitude: this.parameter.grad, dy, z, norms: this.#norms },
        { first_row: first, rows: Math.min(MOST_MAGNITUDE_ROWS, rows - first), cols },
      );
    }
    const dz = run.tensor(`${z.label} gradient`, [rows, cols]);
    this.#gain(run, dy, dz, null, null);
    return dz;
  }

  #gain(run: StepRecorder, z: Tensor, y: Tensor, bias: Tensor | null, addend: Tensor | null): void {
    const gains = this.#gains;
    run.dispatch(
      doraGain,
      { y, z, gains, bias: bias ?? gains, addend: addend ?? z },
      matrixShape(z),
      { ...doraGain.constants, BIAS: bias ? 1 : 0, ADDEND: addend ? 1 : 0 },
    );
  }
}
