/**
 * A matrix of the model as layers see it, whether it is frozen or trained.
 *
 * @module
 */
import type { Operand } from "../gpu/kernel.ts";
import type { Tensor } from "../tensor.ts";
import type { Shard } from "./frozen_matrix.ts";
import type { Parameter } from "./parameter_pool.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** A [rows, cols] weight. */
export interface MatrixWeight {
  readonly label: string;
  readonly rows: number;
  readonly cols: number;
  /** Where its gradient accumulates; null for a frozen weight. */
  readonly grad: Tensor | null;
  /** The whole matrix as one operand. @throws {GpuMemoryError} If it lies in several pieces. */
  operandOn(run: StepRecorder): Operand;
  /** The pieces it lies in. */
  shardsOn(run: StepRecorder): readonly Shard[];
}

/** A matrix that is trained itself: it lies in the parameter pool and is staged anew wherever it is used. */
export class TrainedMatrix implements MatrixWeight {
  readonly rows: number;
  readonly cols: number;
  readonly #parameter: Parameter;

  constructor(parameter: Parameter) {
    this.#parameter = parameter;
    [this.rows, this.cols] = parameter.value.shape as [number, number];
  }

  get label(): string {
    return this.#parameter.name;
  }

  get grad(): Tensor {
    return this.#parameter.grad;
  }

  operandOn(run: StepRecorder): Operand {
    return run.operand(this.#parameter.value);
  }

  shardsOn(run: StepRecorder): readonly Shard[] {
    return [{ firstRow: 0, rows: this.rows, operand: this.operandOn(run) }];
  }
}
