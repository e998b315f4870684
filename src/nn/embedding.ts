/**
 * Token embedding: y[r] = scale · table[ids[r]]. A trained table gets dtable[id] += scale · Σ dx[r] over rows r with that
 * id.
 *
 * @module
 */
import { embeddingBackward, embeddingForward } from "../../kernels/embedding/kernel.ts";
import { BYTES_PER_ELEMENT, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";
import type { MatrixWeight } from "./weight.ts";

/** y [R, C] for ids [R], zeros for ids that the table lacks; one dispatch for each shard of the table. */
export function embed(run: StepRecorder, table: MatrixWeight, ids: Tensor, scale = 1): Tensor {
  const rows = ids.bytes / BYTES_PER_ELEMENT;
  const y = run.tensor("embedding", [rows, table.cols]);
  for (const { firstRow, rows: shardRows, operand } of table.shardsOn(run)) {
    run.dispatch(embeddingForward, { y, ids, table: operand }, {
      rows,
      y_cols: table.cols,
      table_cols: table.cols,
      first_id: firstRow,
      shard_rows: shardRows,
      vocab: table.rows,
      scale,
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
  scale = 1,
): void {
  if (!table.grad) return;
  const segments = ids.bytes / BYTES_PER_ELEMENT;
  run.dispatch(embeddingBackward, { dtable: table.grad, dx, ids, order, starts }, {
    segments,
    cols: table.cols,
    vocab: table.rows,
    scale,
  });
}
