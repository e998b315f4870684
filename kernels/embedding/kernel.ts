/**
 * Token embedding: a gather of rows, and where the table is trained, sums of rows of like id.
 *
 * @module
 */
import { defineKernel, foldGrid, operand, read, result, write } from "../../src/gpu/kernel.ts";
import backwardText from "./backward.wgsl" with { type: "text" };
import forwardText from "./forward.wgsl" with { type: "text" };

/**
 * y [R, C]: scaled rows of one shard of the table for the ids it holds; the first shard gives zeros for ids of `vocab` and
 * above, other rows are left as they are.
 */
export const embeddingForward = defineKernel({
  name: "embedding_forward",
  source: forwardText,
  bindings: { y: result(), ids: read("u32"), table: operand() },
  params: {
    rows: "u32",
    y_cols: "u32",
    table_cols: "u32",
    first_id: "u32",
    shard_rows: "u32",
    vocab: "u32",
    scale: "f32",
  },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ rows, table_cols }, { WORKGROUP_SIZE }) =>
    foldGrid(Math.ceil(rows * Math.ceil(table_cols / 4) / WORKGROUP_SIZE)),
  touched: ({ rows, table_cols }) => ({ table: 4 * rows * table_cols }),
});

/** Rows of a batch sorted by token id, for {@link embeddingBackward}. */
export interface RowsById {
  /** [R] rows, those of one id together, in their own order. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** [R + 1] where each id's rows start in `order`; R where there are no more ids. */
  readonly starts: Uint32Array<ArrayBuffer>;
}

/** Sorts the rows of a batch by id. */
export function rowsById(ids: Uint32Array): RowsById {
  const order = Uint32Array.from(ids.keys()).sort((a, b) => ids[a]! - ids[b]! || a - b);
  const starts = new Uint32Array(ids.length + 1).fill(ids.length);
  let segments = 0;
  order.forEach((row, i) => {
    if (i === 0 || ids[row] !== ids[order[i - 1]!]) starts[segments++] = i;
  });
  return { order, starts };
}

/** dtable [V, C] += scaled rows of dx [R, C]; ids outside of the vocabulary add to nothing. `segments` is R, the most ids that R rows can have. */
export const embeddingBackward = defineKernel({
  name: "embedding_backward",
  source: backwardText,
  bindings: { dtable: write(), dx: read(), ids: read("u32"), order: read("u32"), starts: read("u32") },
  params: { segments: "u32", cols: "u32", vocab: "u32", scale: "f32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ segments, cols }, { WORKGROUP_SIZE }) => [Math.ceil(cols / WORKGROUP_SIZE), segments],
  iterations: ({ segments }) => segments,
});
