/**
 * Staging: putting a matrix where a product reads it fastest. A copy, never arithmetic: values stay bitwise.
 *
 * @module
 */
import { defineKernel, foldGrid, read, textureWrite, write } from "../../src/gpu/kernel.ts";
import toTextureText from "./to_texture.wgsl" with { type: "text" };
import toTextureTransposedText from "./to_texture_transposed.wgsl" with { type: "text" };
import transposeText from "./transpose.wgsl" with { type: "text" };

const params = { rows: "u32", cols: "u32", width: "u32", height: "u32" } as const;

/**
 * Texture of [rows, cols] in texels of four columns; `width` and `height` in texels, padding is zero. Lanes lie along a row,
 * or, where DOWN is 1, one below the other: a row of few texels would leave most of them idle.
 */
export const toTexture = defineKernel({
  name: "stage_to_texture",
  source: toTextureText,
  bindings: { staged: textureWrite(), source: read() },
  params,
  constants: { WORKGROUP_SIZE: 64, DOWN: 0 },
  grid: ({ width, height }, { WORKGROUP_SIZE, DOWN }) =>
    DOWN === 1 ? [Math.ceil(height / WORKGROUP_SIZE), width] : [Math.ceil(width / WORKGROUP_SIZE), height],
});

/** The same of the transpose. */
export const toTextureTransposed = defineKernel({
  name: "stage_to_texture_transposed",
  source: toTextureTransposedText,
  bindings: { staged: textureWrite(), source: read() },
  params,
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ width, height }, { WORKGROUP_SIZE }) => [Math.ceil(width / WORKGROUP_SIZE), height],
});

/** y [cols, rows] = source [rows, cols]ᵀ */
export const transpose = defineKernel({
  name: "transpose",
  source: transposeText,
  bindings: { y: write(), source: read() },
  params: { rows: "u32", cols: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ rows, cols }, { WORKGROUP_SIZE }) => foldGrid(Math.ceil(rows * cols / WORKGROUP_SIZE)),
});
