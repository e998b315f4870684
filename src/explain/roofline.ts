/**
 * How long a launch must take at least on an adapter: its work over the best rates that were measured there.
 *
 *     roof = max(flops / best product rate, bytes / copy rate)
 *
 * @see Williams, Waterman and Patterson 2009, "Roofline", doi:10.1145/1498765.1498785.
 * @module
 */

/** The best rates measured on an adapter. */
export interface Roofline {
  /** Of the engine's own matrix product in f32, units of 1e9 operations a second. */
  readonly gigaflops: number;
  /** Rows and columns of the product that was fastest. */
  readonly matmulSize: number;
  /** Bytes read plus bytes written by a copy, units of 1e9 a second. */
  readonly gigabytes: number;
}

/** Work of one launch or of many. */
export interface Work {
  readonly flops: number;
  /** Read plus written. */
  readonly bytes: number;
}

/** What keeps a launch from being faster. */
export type Bound = "compute" | "memory";

/** Least milliseconds for the work, and which of the two rates sets them. */
export function roofOf(
  { flops, bytes }: Work,
  { gigaflops, gigabytes }: Roofline,
): { ms: number; bound: Bound } {
  const computing = flops / gigaflops / 1e6, moving = bytes / gigabytes / 1e6;
  return computing > moving ? { ms: computing, bound: "compute" } : { ms: moving, bound: "memory" };
}
