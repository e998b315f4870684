/**
 * The residual sum, where a norm stands between a product and the stream: elsewhere the product adds it as it writes.
 *
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import addText from "./add.wgsl" with { type: "text" };

/** y = a + b for `count` elements. */
export const add = defineKernel({
  name: "add",
  source: addText,
  bindings: { y: write(), a: read(), b: read() },
  params: { count: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ count }, { WORKGROUP_SIZE }) => foldGrid(Math.ceil(count / WORKGROUP_SIZE)),
});
