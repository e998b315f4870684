/**
 * Which form of each kernel runs on an adapter. Adapters want opposite things: Mesa's software rasteriser reads
 * textures ten times faster than storage buffers and likes large register tiles, everything else takes storage buffers.
 * No variant is required for correctness; each gives the same answer.
 *
 * @module
 */
import type { Tile } from "../../kernels/matmul/kernel.ts";
import type { RowLanes } from "../../kernels/rms_norm/kernel.ts";
import type { Gpu } from "../gpu/device.ts";
import type { AttentionLanes } from "./attention_tile.ts";

/** The choice for one adapter. */
export interface Variants {
  /** Where operands of products are read from. */
  readonly operands: "texture" | "storage";
  /** Tile of x·wᵀ; `TILE_COLS` counts columns. */
  readonly forward: Tile;
  /** Tile of x·w; `TILE_COLS` counts vectors of four columns. */
  readonly backwardInput: Tile;
  /** Tile of the gradients of low-rank factors; `TILE_ROWS` counts vectors of four rank columns. */
  readonly backwardFactor: Tile;
  readonly attention: AttentionLanes;
  /** Lanes that work on a query of attention over a cache; a power of two. */
  readonly rowLanes: number;
  /** Lanes of kernels that work row by row: normalisation, cross-entropy. */
  readonly rows: RowLanes;
  /** What was chosen and why, for people. */
  readonly reason: string;
}

/** For Mesa's llvmpipe: operands from textures, 8 lanes (one AVX register of f32), tiles that compile in under a second. */
const LLVMPIPE: Variants = {
  operands: "texture",
  forward: { TILE_ROWS: 16, TILE_COLS: 8, LANES: 8 },
  backwardInput: { TILE_ROWS: 16, TILE_COLS: 2, LANES: 8 },
  backwardFactor: { TILE_ROWS: 2, TILE_COLS: 1, LANES: 8 },
  attention: { LANES: 8, laneVectors: 256, stepKeys: 2, staged: false },
  rowLanes: 16,
  rows: { WORKGROUP_SIZE: 8, ROW_LANES: 1 },
  reason: "matmul operands from textures, 16x8 tiles: llvmpipe reads storage buffers ten times slower",
};

/** For other processors that play GPU: storage buffers, small tiles, few lanes. */
const SOFTWARE: Variants = {
  operands: "storage",
  forward: { TILE_ROWS: 8, TILE_COLS: 4, LANES: 8 },
  backwardInput: { TILE_ROWS: 8, TILE_COLS: 1, LANES: 8 },
  backwardFactor: { TILE_ROWS: 2, TILE_COLS: 1, LANES: 8 },
  attention: { LANES: 8, laneVectors: 32, stepKeys: 1, staged: false },
  rowLanes: 16,
  rows: { WORKGROUP_SIZE: 8, ROW_LANES: 1 },
  reason: "matmul operands from storage buffers, 8x4 tiles: a software adapter",
};

/** The safe default of a hardware GPU: a full workgroup of lanes, moderate register tiles. */
const HARDWARE: Variants = {
  operands: "storage",
  forward: { TILE_ROWS: 8, TILE_COLS: 4, LANES: 64 },
  backwardInput: { TILE_ROWS: 8, TILE_COLS: 1, LANES: 64 },
  backwardFactor: { TILE_ROWS: 2, TILE_COLS: 1, LANES: 64 },
  attention: { LANES: 64, laneVectors: 32, stepKeys: 1, staged: true },
  rowLanes: 64,
  rows: { WORKGROUP_SIZE: 64, ROW_LANES: 64 },
  reason:
    "matmul operands from storage buffers, 8x4 register tiles over 64 lanes: the default of hardware GPUs",
};

/** All choices there are, by name; tests run every one of them. */
export const VARIANTS = { llvmpipe: LLVMPIPE, software: SOFTWARE, hardware: HARDWARE } as const;

/** The choice for an open adapter. */
export function chooseVariants(gpu: Gpu): Variants {
  if (/llvmpipe/i.test(gpu.name)) return LLVMPIPE;
  return gpu.software ? SOFTWARE : HARDWARE;
}

/** A tile for a product with few output columns: no wider than needed, as tall as the usual one. */
export function narrowed(tile: Tile, cols: number): Tile {
  const LANES = Math.min(tile.LANES, 8);
  return { ...tile, LANES, TILE_COLS: Math.min(tile.TILE_COLS, Math.ceil(cols / LANES)) };
}
