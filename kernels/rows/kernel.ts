/**
 * Gathering the rows that carry a label before the output head, and scattering their gradients back.
 *
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import gatherText from "./gather.wgsl" with { type: "text" };
import scatterText from "./scatter.wgsl" with { type: "text" };

/** Index of a filler row: gathered as zeros, scattered nowhere. */
export const NO_ROW = 0xffffffff;

const bindings = { y: write(), x: read(), index: read("u32") } as const;
const params = { rows: "u32", cols: "u32", first: "u32" } as const;
const constants = { WORKGROUP_SIZE: 64 };
const grid = ({ rows, cols }: { rows: number; cols: number }, { WORKGROUP_SIZE }: typeof constants) =>
  foldGrid(Math.ceil(rows * cols / WORKGROUP_SIZE));

/** y[i] = x[index[first + i]] for `rows` rows. */
export const gatherRows = defineKernel({
  name: "gather_rows",
  source: gatherText,
  bindings,
  params,
  constants,
  grid,
  touched: ({ rows, cols }) => ({ x: 4 * rows * cols, index: 4 * rows }),
});

/** y[index[first + i]] = x[i] for `rows` rows; the gradient of the gather. */
export const scatterRows = defineKernel({
  name: "scatter_rows",
  source: scatterText,
  bindings,
  params,
  constants,
  grid,
  touched: ({ rows, cols }) => ({ y: 4 * rows * cols, index: 4 * rows }),
});
