/**
 * Tiles of matrix products: how the work of one workgroup is divided among its lanes, and what it needs of an adapter.
 *
 * @module
 */

/**
 * A product's tile. One lane owns `TILE_ROWS` x `TILE_COLS` registers of outputs; lanes are interleaved, so that lane l
 * owns column l, l + LANES, l + 2·LANES and so on of the workgroup.
 *
 * A register is one output of {@link ProductOp} `forward`, a vector of four columns of `backwardInput`, and 4 x 4 outputs of
 * `backwardFactor`.
 *
 * @internal
 */
export interface Tile extends Readonly<Record<string, number>> {
  readonly TILE_ROWS: number;
  readonly TILE_COLS: number;
  /** Lanes side by side, along columns. */
  readonly LANES: number;
  /** Lanes one below the other, along rows. */
  readonly LANE_ROWS: number;
  /** Elements of the summed dimension that the workgroup's tile holds; 0: operands go straight to registers. */
  readonly DEPTH: number;
  /** 1: the workgroup's tile holds f16. Sums are f32 all the same. */
  readonly HALF: number;
  /** 1: a row's values are loaded once a subgroup and shuffled among its lanes. */
  readonly SUBGROUP: number;
  /** Lanes that divide the sum of one output among themselves; a power of two. */
  readonly K_LANES: number;
}

/** y = x·wᵀ; y = x·w; out += leftᵀ·right. */
export type ProductOp = "forward" | "backwardInput" | "backwardFactor";

const PLAIN = { LANE_ROWS: 1, DEPTH: 0, HALF: 0, SUBGROUP: 0, K_LANES: 1 } as const;

/** Operands straight to registers, no workgroup memory. `laneRows` lanes lie one below the other. */
export function registerTile(rows: number, cols: number, lanes: number, laneRows = 1): Tile {
  return { ...PLAIN, TILE_ROWS: rows, TILE_COLS: cols, LANES: lanes, LANE_ROWS: laneRows };
}

/** Size of a {@link sharedTile}. */
export interface SharedTileSize {
  /** Registers of one lane. */
  readonly rows: number;
  readonly cols: number;
  readonly lanes: number;
  readonly laneRows: number;
  /** A multiple of 4. */
  readonly depth: number;
  /** Keep the workgroup's tile in f16. Default false. */
  readonly half?: boolean;
}

/** Operands pass through workgroup memory: each is loaded once a workgroup. */
export function sharedTile({ rows, cols, lanes, laneRows, depth, half = false }: SharedTileSize): Tile {
  return { ...registerTile(rows, cols, lanes, laneRows), DEPTH: depth, HALF: half ? 1 : 0 };
}

/** A register tile whose rows are loaded once a subgroup, of any size. */
export function subgroupTile(rows: number, cols: number, lanes: number): Tile {
  return { ...registerTile(rows, cols, lanes), SUBGROUP: 1 };
}

/** For few rows or few outputs: `kLanes` lanes share each sum. */
export function vectorTile(rows: number, cols: number, lanes: number, kLanes: number): Tile {
  return { ...registerTile(rows, cols, lanes), K_LANES: kLanes };
}

/** One operand of a product as lanes see it. */
export interface Side {
  /** WGSL variable that holds the position of the lane's first register. */
  readonly first: "row" | "col";
  /** Registers of one lane. */
  readonly count: number;
  readonly lanes: number;
  /** Vectors that one register takes a step. */
  readonly vectors: 1 | 4;
  /** True: vectors lie along the sum, `load(index, k)`. False: across it, `load(k, index)`. */
  readonly alongSum: boolean;
}

/** Both operands, and the elements of the summed dimension that one step takes. */
export interface ProductShape {
  readonly left: Side;
  readonly right: Side;
  readonly perStep: 1 | 4;
}

/** How lanes see the operands of a product. */
export function shapeOf(op: ProductOp, { TILE_ROWS, TILE_COLS, LANES, LANE_ROWS }: Tile): ProductShape {
  const isFactor = op === "backwardFactor";
  return {
    left: { first: "row", count: TILE_ROWS, lanes: LANE_ROWS, vectors: 1, alongSum: !isFactor },
    right: {
      first: "col",
      count: TILE_COLS,
      lanes: LANES,
      vectors: op === "backwardInput" ? 4 : 1,
      alongSum: op === "forward",
    },
    perStep: isFactor ? 1 : 4,
  };
}

/** Rows and columns of the output that one workgroup writes. */
export function spanOf(op: ProductOp, tile: Tile): { rows: number; cols: number } {
  return {
    rows: tile.TILE_ROWS * tile.LANE_ROWS * (op === "backwardFactor" ? 4 : 1),
    cols: tile.TILE_COLS * tile.LANES * (op === "forward" ? 1 : 4),
  };
}

/** Invocations of a workgroup. */
export const invocationsOf = ({ LANES, LANE_ROWS, K_LANES }: Tile): number => LANES * LANE_ROWS * K_LANES;

/** Vectors of an operand's workgroup tile: one step behind the other, each with a spare vector (see {@link stride}). */
export function tileVectors({ left, right, perStep }: ProductShape, { DEPTH }: Tile) {
  const steps = DEPTH / perStep;
  return { left: steps * left.vectors * stride(left), right: steps * right.vectors * stride(right) };
}

/** Vectors from one step to the next; the spare one keeps lanes that fill neighbouring steps on different banks. */
export const stride = ({ count, lanes }: Side): number => count * lanes + 1;

/** What a tile needs of an adapter. */
export interface TileRequirements {
  readonly features: readonly string[];
  readonly workgroupBytes: number;
  readonly invocations: number;
}

/** @throws {RangeError} If no kernel can be written for the tile. */
export function requirements(op: ProductOp, tile: Tile): TileRequirements {
  checkTile(tile);
  const shape = shapeOf(op, tile);
  const invocations = invocationsOf(tile);
  const { left, right } = tileVectors(shape, tile);
  const tiles = (left + right) * (tile.HALF ? 8 : 16);
  const sums = tile.K_LANES === 1 ? 0 : invocations * accumulatorBytes(op, tile);
  return {
    features: [...(tile.HALF ? ["shader-f16"] : []), ...(tile.SUBGROUP ? ["subgroups"] : [])],
    workgroupBytes: tiles + sums,
    invocations,
  };
}

function accumulatorBytes(op: ProductOp, { TILE_ROWS, TILE_COLS }: Tile): number {
  return TILE_ROWS * TILE_COLS * { forward: 4, backwardInput: 16, backwardFactor: 64 }[op];
}

/** Loop iterations of one invocation that sums so many steps, one number for each product of its sum. */
export function iterationsOf(op: ProductOp, tile: Tile, steps: readonly number[]): number {
  const total = (of: (steps: number) => number) => steps.reduce((sum, n) => sum + of(n), 0);
  if (tile.K_LANES > 1) return total((n) => Math.ceil(n / tile.K_LANES)) + Math.log2(tile.K_LANES);
  if (tile.SUBGROUP) return total((n) => n + Math.ceil(n / LEAST_SUBGROUP));
  if (tile.DEPTH === 0) return total((n) => n);
  const depthSteps = tile.DEPTH / shapeOf(op, tile).perStep;
  return total((n) => Math.ceil(n / depthSteps) * (1 + depthSteps));
}

/** The smallest subgroup there is; WebGPU has 4 to 128. */
const LEAST_SUBGROUP = 4;

function checkTile(tile: Tile): void {
  const { DEPTH, HALF, SUBGROUP, K_LANES, LANE_ROWS } = tile;
  const problem = DEPTH % 4 !== 0
    ? `DEPTH ${DEPTH} is not a multiple of 4`
    : !Number.isInteger(Math.log2(K_LANES))
    ? `K_LANES ${K_LANES} is not a power of two`
    : HALF && DEPTH === 0
    ? "HALF needs a workgroup tile: DEPTH is 0"
    : [DEPTH > 0, SUBGROUP > 0, K_LANES > 1].filter(Boolean).length > 1
    ? "of DEPTH, SUBGROUP and K_LANES only one can be used"
    : (SUBGROUP || K_LANES > 1) && LANE_ROWS !== 1
    ? `SUBGROUP and K_LANES need LANE_ROWS 1, it is ${LANE_ROWS}`
    : null;
  if (problem) {
    throw new RangeError(`Cannot write a product for the tile ${JSON.stringify(tile)}: ${problem}`);
  }
}
