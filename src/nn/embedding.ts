/**
 * Token embedding: y[r] = table[ids[r]]. The table is frozen, so there is no backward.
 *
 * @module
 */
import { embeddingForward } from "../../kernels/embedding/kernel.ts";
import { BYTES_PER_ELEMENT, type Tensor } from "../tensor.ts";
import type { FrozenMatrix } from "./frozen_matrix.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** y [R, C] for ids [R]; one dispatch for each shard of the table. */
export function embed(run: StepRecorder, table: FrozenMatrix, ids: Tensor): Tensor {
  const rows = ids.bytes / BYTES_PER_ELEMENT;
  const y = run.tensor("embedding", [rows, table.cols]);
  for (const { firstRow, rows: shardRows, operand } of table.shards) {
    run.dispatch(embeddingForward, { y, ids, table: operand }, {
      rows,
      table_cols: table.cols,
      first_id: firstRow,
      shard_rows: shardRows,
    });
  }
  return y;
}
