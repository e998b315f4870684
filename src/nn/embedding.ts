/**
 * Token embedding: y[r] = table[ids[r]]. A trained table gets dtable[id] += Σ dx[r] over rows r with that id.
 *
 * @module
 */
import { embeddingBackward, embeddingForward } from "../../kernels/embedding/kernel.ts";
import { BYTES_PER_ELEMENT, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";
import type { MatrixWeight } from "./weight.ts";

/** y [R, C] for ids [R]; one dispatch for each shard of the table. */
export function embed(run: StepRecorder, table: MatrixWeight, ids: Tensor): Tensor {
  const rows = ids.bytes / BYTES_PER_ELEMENT;
  const y = run.tensor("embedding", [rows, table.cols]);
  for (const { firstRow, rows: shardRows, operand } of table.shardsOn(run)) {
    run.dispatch(embeddingForward, { y, ids, table: operand }, {
      rows,
      table_cols: table.cols,
      first_id: firstRow,
      shard_rows: shardRows,
    });
  }
  return y;
}

/** Rows of a batch sorted by id, on the GPU: see `rowsById` of the kernel. */
export interface SortedRows {
  /** [R] */
  readonly order: Tensor;
  /** [R + 1] */
  readonly starts: Tensor;
}

/** Adds dx [R, C] to the gradient of a trained table; does nothing for a frozen one. */
export function embedBackward(
  run: StepRecorder,
  table: MatrixWeight,
  dx: Tensor,
  ids: Tensor,
  { order, starts }: SortedRows,
): void {
  if (!table.grad) return;
  const segments = ids.bytes / BYTES_PER_ELEMENT;
  run.dispatch(embeddingBackward, { dtable: table.grad, dx, ids, order, starts }, {
    segments,
    cols: table.cols,
  });
}
