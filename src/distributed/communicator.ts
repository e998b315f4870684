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

/** Thrown on every rank where one of them was told to stop, but on that one itself. */
export class RankStoppedError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "RankStoppedError";

  /** Says what has happened, unless `message` does. */
  constructor(message = "Another rank of the run was told to stop") {
    super(message);
  }
}

/** A run of one process. */
export const ONE_RANK: Communicator = {
  rank: 0,
  size: 1,
  sum: () => Promise.resolve(),
  gather: (text) => Promise.resolve([text]),
  close: () => Promise.resolve(),
};
