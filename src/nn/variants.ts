/**
 * Which form of each kernel runs on an adapter. Adapters want opposite things: Mesa's software rasteriser reads
 * textures ten times faster than storage buffers and likes large register tiles, everything else takes storage buffers.
 * No variant is required for correctness; each gives the same answer.
 *
 * @module
 */
import {
  type ProductOp,
  registerTile,
  requirements,
  sharedTile,
  subgroupTile,
  type Tile,
  vectorTile,
} from "../../kernels/matmul/kernel.ts";
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
  /** Tile of the gradients of low-rank factors; `TILE_ROWS` and `TILE_COLS` count fours. */
  readonly backwardFactor: Tile;
  /** Tile of x·wᵀ with at most {@link NARROW_COLS} columns, such as x·Aᵀ. */
  readonly narrow: Tile;
  /** Tile of x·wᵀ with at most {@link VECTOR_ROWS} rows, as in generation. */
  readonly vector: Tile;
  /**
   * Packed weights: `unpack` them in front of each use into what products read fastest, or let products `read` the packed
   * words.
   */
  readonly packed: "unpack" | "read";
  /** Floating-point operations of one launch of a product at most; longer ones are divided. */
  readonly dispatchFlops: number;
  /** Logits that exist at a time: few keep memory small, many keep a GPU's processors busy. */
  readonly logitBytes: number;
  /** Lanes of attention over whole rows. */
  readonly attention: AttentionLanes;
  /** Lanes that work on a query of attention over a cache; a power of two. */
  readonly rowLanes: number;
  /** Lanes of kernels that work row by row: normalisation, cross-entropy. */
  readonly rows: RowLanes;
  /** What was chosen and why, for people. */
  readonly reason: string;
}

/** Rank of an update at most, for a tile of its own. */
export const NARROW_COLS = 64;
/** Rows of a product at most, for which lanes that share a sum beat lanes that own rows. */
export const VECTOR_ROWS = 4;

/** For Mesa's llvmpipe: operands from textures, 8 lanes (one AVX register of f32), tiles that compile in under a second. */
const LLVMPIPE: Variants = {
  operands: "texture",
  forward: registerTile(16, 8, 8),
  backwardInput: registerTile(16, 2, 8),
  backwardFactor: registerTile(2, 1, 8),
  narrow: registerTile(16, 8, 8),
  vector: registerTile(4, 8, 8),
  packed: "unpack",
  dispatchFlops: Infinity,
  logitBytes: 8 << 20,
  attention: { LANES: 8, laneVectors: 256, stepKeys: 2, staged: false },
  rowLanes: 16,
  rows: { WORKGROUP_SIZE: 8, ROW_LANES: 1 },
  reason: "matmul operands from textures, 16x8 tiles: llvmpipe reads storage buffers ten times slower",
};

/** For long runs on llvmpipe: a fifth faster, and three seconds of compilation for each pipeline. */
const LLVMPIPE_WIDE: Variants = {
  ...LLVMPIPE,
  forward: registerTile(32, 12, 8),
  backwardInput: registerTile(32, 4, 8),
  reason: "matmul operands from textures, 32x12 tiles: faster on llvmpipe than 16x8 and slower to compile",
};

/** For other processors that play GPU: storage buffers, small tiles, few lanes. */
const SOFTWARE: Variants = {
  operands: "storage",
  forward: registerTile(8, 4, 8),
  backwardInput: registerTile(8, 1, 8),
  backwardFactor: registerTile(2, 1, 8),
  narrow: registerTile(8, 4, 8),
  vector: registerTile(4, 4, 8),
  packed: "unpack",
  dispatchFlops: Infinity,
  logitBytes: 8 << 20,
  attention: { LANES: 8, laneVectors: 32, stepKeys: 1, staged: false },
  rowLanes: 16,
  rows: { WORKGROUP_SIZE: 8, ROW_LANES: 1 },
  reason: "matmul operands from storage buffers, 8x4 tiles: a software adapter",
};

/** The safe default of a hardware GPU: operands through 8 KiB of workgroup memory, launches of some milliseconds. */
const HARDWARE: Variants = {
  operands: "storage",
  forward: sharedTile({ rows: 4, cols: 4, lanes: 8, laneRows: 8, depth: 32 }),
  backwardInput: sharedTile({ rows: 4, cols: 1, lanes: 8, laneRows: 8, depth: 32 }),
  backwardFactor: vectorTile(2, 1, 8, 8),
  narrow: vectorTile(4, 1, 8, 8),
  vector: vectorTile(4, 1, 4, 16),
  packed: "read",
  dispatchFlops: 5e10,
  logitBytes: 64 << 20,
  attention: { LANES: 64, laneVectors: 32, stepKeys: 1, staged: true },
  rowLanes: 64,
  rows: { WORKGROUP_SIZE: 64, ROW_LANES: 64 },
  reason: "matmul operands through workgroup memory, 32x32x32 tiles: the default of hardware GPUs",
};

/** For GPUs whose caches serve registers well, such as integrated ones. */
const REGISTER_64: Variants = {
  ...HARDWARE,
  forward: registerTile(8, 8, 8, 8),
  backwardInput: registerTile(8, 2, 8, 8),
  backwardFactor: registerTile(2, 1, 64),
  reason: "matmul operands straight to 8x8 registers of 64 lanes",
};

const SHARED_64: Variants = {
  ...HARDWARE,
  forward: sharedTile({ rows: 4, cols: 4, lanes: 16, laneRows: 16, depth: 16 }),
  backwardInput: sharedTile({ rows: 4, cols: 1, lanes: 16, laneRows: 16, depth: 16 }),
  reason: "matmul operands through workgroup memory, 64x64x16 tiles",
};

const SHARED_128: Variants = {
  ...HARDWARE,
  forward: sharedTile({ rows: 8, cols: 4, lanes: 16, laneRows: 16, depth: 16 }),
  backwardInput: sharedTile({ rows: 8, cols: 1, lanes: 16, laneRows: 16, depth: 16 }),
  reason: "matmul operands through workgroup memory, 128x64x16 tiles",
};

/** Rounds operands of products to f16 and sums in f32: a choice of precision, never made by measuring speed. */
const SHARED_HALF: Variants = {
  ...HARDWARE,
  forward: sharedTile({ rows: 4, cols: 4, lanes: 16, laneRows: 16, depth: 32, half: true }),
  backwardInput: sharedTile({ rows: 4, cols: 1, lanes: 16, laneRows: 16, depth: 32, half: true }),
  reason: "matmul operands rounded to f16 in workgroup memory, 64x64x32 tiles, sums in f32",
};

const SUBGROUP: Variants = {
  ...HARDWARE,
  forward: subgroupTile(8, 4, 64),
  backwardInput: subgroupTile(8, 1, 64),
  backwardFactor: subgroupTile(2, 1, 64),
  reason: "matmul rows shuffled among the lanes of a subgroup, 8x4 registers of 64 lanes",
};

/** All choices there are, by name; tests run every one of them. */
export const VARIANTS = {
  llvmpipe: LLVMPIPE,
  llvmpipe_wide: LLVMPIPE_WIDE,
  software: SOFTWARE,
  hardware: HARDWARE,
  register64: REGISTER_64,
  shared64: SHARED_64,
  shared128: SHARED_128,
  shared_half: SHARED_HALF,
  subgroup: SUBGROUP,
} as const;

/** Adapters that want the same things of a kernel. */
export type AdapterKind = "llvmpipe" | "software" | "hardware";

export function adapterKind(gpu: Pick<Gpu, "name" | "software">): AdapterKind {
  if (/llvmpipe/i.test(gpu.name)) return "llvmpipe";
  return gpu.software ? "software" : "hardware";
}

/** The choice for an open adapter. */
export function chooseVariants(gpu: Gpu): Variants {
  return VARIANTS[adapterKind(gpu)];
}

/** A class of products, each with a tile of its own. */
export type TileClass = "forward" | "backwardInput" | "backwardFactor" | "narrow" | "vector";

/** The classes, and the product that each is. */
export const TILE_CLASSES: Readonly<Record<TileClass, ProductOp>> = {
  forward: "forward",
  backwardInput: "backwardInput",
  backwardFactor: "backwardFactor",
  narrow: "forward",
  vector: "forward",
};

/** Why a variant cannot run on an adapter, or null. */
export function variantFits(
  gpu: Pick<Gpu, "name" | "features" | "limits">,
  variants: Variants,
): string | null {
  for (const [name, op] of Object.entries(TILE_CLASSES) as [TileClass, ProductOp][]) {
    const reason = tileFits(gpu, op, variants[name]);
    if (reason) return `its ${name} tile ${reason}`;
  }
  return null;
}

/** Why a tile cannot run on an adapter, such as `needs the feature subgroups, "llvmpipe" lacks it`; or null. */
export function tileFits(
  { name, features, limits }: Pick<Gpu, "name" | "features" | "limits">,
  op: ProductOp,
  tile: Tile,
): string | null {
  const needed = requirements(op, tile);
  const missing = needed.features.find((feature) => !features.has(feature));
  if (missing) return `needs the feature ${missing}, "${name}" lacks it`;
  const { maxComputeWorkgroupStorageSize: bytes, maxComputeInvocationsPerWorkgroup: invocations } = limits;
  if (needed.workgroupBytes > bytes) {
    return `needs ${needed.workgroupBytes} bytes of workgroup memory, "${name}" has ${bytes}`;
  }
  return needed.invocations > invocations
    ? `needs ${needed.invocations} invocations a workgroup, "${name}" has ${invocations}`
    : null;
}

/** An output to compute: of a factor's gradient, `rows` and `cols` are those of its operands' columns. */
export interface OutputSize {
  readonly op: ProductOp;
  readonly rows: number;
  readonly cols: number;
}

/** The tile for a product, no larger than its output. */
export function tileFor(variants: Variants, { op, rows, cols }: OutputSize): Tile {
  if (op === "backwardFactor") {
    return fitted(variants.backwardFactor, Math.ceil(rows / 4), Math.ceil(cols / 4));
  }
  if (op === "backwardInput") return fitted(variants.backwardInput, heightFor(rows), Math.ceil(cols / 4));
  if (rows <= VECTOR_ROWS) return fitted(variants.vector, heightFor(rows), cols);
  return fitted(cols <= NARROW_COLS ? variants.narrow : variants.forward, heightFor(rows), cols);
}

/** A tile that passes nothing through workgroup memory costs what it covers: it shrinks to the output's registers. */
function fitted(tile: Tile, rows: number, cols: number): Tile {
  if (tile.DEPTH > 0) return tile;
  return {
    ...tile,
    TILE_ROWS: Math.min(tile.TILE_ROWS, Math.ceil(rows / tile.LANE_ROWS)),
    TILE_COLS: Math.min(tile.TILE_COLS, Math.ceil(cols / tile.LANES)),
  };
}

/** Few heights, since each is compiled: 1, 4, 8, 16 and so on. */
function heightFor(rows: number): number {
  return rows === 1 ? 1 : Math.max(4, 2 ** Math.ceil(Math.log2(rows)));
}
