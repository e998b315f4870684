/**
 * The matrix products of one micro-batch, counted from a model's shapes: what a choice of tiles is measured on.
 *
 * @module
 */

/** Kinds of product that take a tile of their own. */
export const TUNED_OPS = ["forward", "backwardInput", "narrow", "backwardFactor"] as const;

/**
 * - `forward`: y = x·wᵀ through base weights and head
 * - `backwardInput`: dx = dy·w
 * - `narrow`: u = x·Aᵀ and v = dy·B, few columns
 * - `backwardFactor`: dA = vᵀ·x and dB = dyᵀ·u
 */
export type TunedOp = (typeof TUNED_OPS)[number];

/** Products of one size: [rows, cols] sums of `inner` products. */
export interface ProductSize {
  readonly rows: number;
  readonly cols: number;
  readonly inner: number;
  /** How often in one micro-batch, forward and backward. */
  readonly count: number;
}

/** Products of one micro-batch by kind, largest share first. */
export type Work = Readonly<Record<TunedOp, readonly ProductSize[]>>;

/** A linear map [out, in], and how many of the model's maps are of this shape. */
export interface MapShape {
  readonly out: number;
  readonly in: number;
  readonly count: number;
}

/** What the products follow from. */
export interface WorkRequest {
  readonly maps: readonly MapShape[];
  /** The output head: [vocabulary, hidden]; null without one. */
  readonly head: { readonly out: number; readonly in: number } | null;
  /** Rows of a batch times their length. */
  readonly tokens: number;
  /** Labelled tokens whose logits exist at a time. */
  readonly headRows: number;
  /** Rank of the update; 0 where nothing has one. */
  readonly rank: number;
  /** Blocks over all blocks whose forward pass is computed twice. Default 0. */
  readonly recomputed?: number;
}

/** A head's columns beyond these are more of the same: it is measured on so many. */
const MOST_COLS = 8192;

/** Counts the products. */
export function workOf({ maps, head, tokens, headRows, rank, recomputed = 0 }: WorkRequest): Work {
  const forward: ProductSize[] = [], backwardInput: ProductSize[] = [];
  const narrow: ProductSize[] = [], backwardFactor: ProductSize[] = [];
  for (const { out, in: width, count } of maps) {
    forward.push({ rows: tokens, cols: out, inner: width, count: count * (1 + recomputed) });
    backwardInput.push({ rows: tokens, cols: width, inner: out, count });
    if (rank === 0) continue;
    narrow.push({ rows: tokens, cols: rank, inner: width, count: count * (1 + recomputed) });
    narrow.push({ rows: tokens, cols: rank, inner: out, count });
    backwardFactor.push({ rows: rank, cols: width, inner: tokens, count });
    backwardFactor.push({ rows: rank, cols: out, inner: tokens, count });
  }
  if (head) {
    const slices = head.out / Math.min(head.out, MOST_COLS) * tokens / headRows;
    const cols = Math.min(head.out, MOST_COLS);
    forward.push({ rows: headRows, cols, inner: head.in, count: slices });
    backwardInput.push({ rows: headRows, cols: head.in, inner: cols, count: slices });
  }
  return {
    forward: largest(forward),
    backwardInput: largest(backwardInput),
    narrow: largest(narrow),
    backwardFactor: largest(backwardFactor),
  };
}

/** Multiplications and additions of products of one size, all of them. */
export const flopsOf = ({ rows, cols, inner, count }: ProductSize): number => 2 * rows * cols * inner * count;

/** Multiplications and additions of one micro-batch. */
export function totalFlops(work: Work): number {
  return TUNED_OPS.flatMap((op) => work[op]).reduce((sum, size) => sum + flopsOf(size), 0);
}

/** Equal sizes summed, in the order of their share. */
function largest(sizes: readonly ProductSize[]): ProductSize[] {
  const bySize = new Map<string, ProductSize>();
  for (const size of sizes) {
    const key = [size.rows, size.cols, size.inner].join();
    bySize.set(key, { ...size, count: size.count + (bySize.get(key)?.count ?? 0) });
  }
  return [...bySize.values()].sort((a, b) => flopsOf(b) - flopsOf(a));
}
