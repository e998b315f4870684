/**
 * A frozen weight that lies in a plain buffer and is staged wherever it is used, as other libraries hold theirs.
 *
 * @module
 */
import type { Operand } from "../src/gpu/kernel.ts";
import type { Shard } from "../src/nn/frozen_matrix.ts";
import type { StepRecorder } from "../src/nn/step_recorder.ts";
import type { MatrixWeight } from "../src/nn/weight.ts";
import { matrixShape, type Tensor } from "../src/tensor.ts";

export class BufferMatrix implements MatrixWeight {
  readonly label: string;
  readonly rows: number;
  readonly cols: number;
  readonly grad = null;
  readonly #tensor: Tensor;

  /** @param tensor [rows, cols] */
  constructor(tensor: Tensor) {
    this.label = tensor.label;
    ({ rows: this.rows, cols: this.cols } = matrixShape(tensor));
    this.#tensor = tensor;
  }

  operandOn(run: StepRecorder): Operand {
    return run.operand(this.#tensor);
  }

  shardsOn(run: StepRecorder): readonly Shard[] {
    return [{ firstRow: 0, rows: this.rows, operand: this.operandOn(run) }];
  }
}
