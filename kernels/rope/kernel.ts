/**
 * Rotary position embedding (Su et al. 2021, arXiv:2104.09864), half-split layout.
 *
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import rotateText from "./rotate.wgsl" with { type: "text" };

/** Rotates x [R, H, D] in place by each row's position; `direction` 1 forward, −1 backward. */
export const ropeRotate = defineKernel({
  name: "rope_rotate",
  source: rotateText,
  bindings: { x: write(), cos_table: read(), sin_table: read() },
  params: { rows: "u32", row_length: "u32", heads: "u32", half_dim: "u32", direction: "f32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ rows, heads, half_dim }, { WORKGROUP_SIZE }) =>
    foldGrid(Math.ceil(rows * heads * half_dim / WORKGROUP_SIZE)),
});
