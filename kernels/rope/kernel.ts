/**
 * Rotary position embedding (Su et al. 2021, arXiv:2104.09864), half-split layout, of whole heads or of their first part.
 *
 * @module
 */
import { defineKernel, foldGrid, operand, read, result } from "../../src/gpu/kernel.ts";
import rotateText from "./rotate.wgsl" with { type: "text" };

/**
 * turned_q [R, H, D] and turned_k [R, G, D] from q and k by each row's position; `direction` 1 forward, −1 backward.
 * `pairs` is that of the tables [T, P], D a multiple of 4.
 */
export const ropeRotate = defineKernel({
  name: "rope_rotate",
  source: rotateText,
  bindings: {
    turned_q: result(),
    turned_k: result(),
    q: operand(),
    k: operand(),
    cosines: read(),
    sines: read(),
    positions: read("u32"),
  },
  params: {
    rows: "u32",
    head_dim: "u32",
    pairs: "u32",
    turned_q_cols: "u32",
    turned_k_cols: "u32",
    q_cols: "u32",
    k_cols: "u32",
    direction: "f32",
  },
  constants: { WORKGROUP_SIZE: 64, ALIGNED: 1 },
  grid: ({ rows, head_dim }, { WORKGROUP_SIZE }) => foldGrid(Math.ceil(rows * head_dim / 4 / WORKGROUP_SIZE)),
  iterations: ({ q_cols, k_cols, head_dim }) => (q_cols + k_cols) / head_dim,
});
