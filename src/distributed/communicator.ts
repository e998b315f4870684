/**
 * What the processes of one run, its ranks, say to each other. Each holds the whole model and works on its own rows.
 *
 * @module
 */

/** The other ranks of a run. Every rank must make the same calls in the same order. */
export interface Communicator {
  /** From 0. Rank 0 leads: it writes and tells. */
  readonly rank: number;
  /** How many ranks there are. */
  readonly size: number;
  /** Adds up the values of all ranks, in place, element by element. Every rank gets the same bits. */
  sum(values: Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>): Promise<void>;
  /** The texts of all ranks, by rank. No rank goes on before the last has given its own. */
  gather(text: string): Promise<string[]>;
  /** Takes leave. Waits for the others, so only a rank whose work has succeeded may call it. */
  close(): Promise<void>;
}

/** A run of one process. */
export const ONE_RANK: Communicator = {
  rank: 0,
  size: 1,
  sum: () => Promise.resolve(),
  gather: (text) => Promise.resolve([text]),
  close: () => Promise.resolve(),
};
