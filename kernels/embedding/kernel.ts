/**
 * Token embedding: a gather of rows. The table is frozen, so there is no backward.
 *
 * @module
 */
import { defineKernel, foldGrid, operand, read, write } from "../../src/gpu/kernel.ts";
import forwardText from "./forward.wgsl" with { type: "text" };

/** y [R, C]: rows of one shard of the table for the ids it holds; other rows are left as they are. */
export const embeddingForward = defineKernel({
  name: "embedding_forward",
  source: forwardText,
  bindings: { y: write(), ids: read("u32"), table: operand() },
  params: { rows: "u32", table_cols: "u32", first_id: "u32", shard_rows: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ rows, table_cols }, { WORKGROUP_SIZE }) =>
    foldGrid(Math.ceil(rows * Math.ceil(table_cols / 4) / WORKGROUP_SIZE)),
});
