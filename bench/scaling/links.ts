/**
 * What an allreduce takes, and a step of several ranks with it.
 *
 * Ring of N ranks over a link that a rank sends on at B bytes a second, each message with a latency α:
 *
 *     allreduce(N, bytes) = 2·(N − 1)·α + 2·(N − 1)/N · bytes / B
 *
 * A step of W micro-batches that take c each, with what every step has once (u: gradients to the host and back, update):
 *
 *     step(N) = ceil(W / N)·c + u + allreduce(N, bytes)
 *
 * @module
 */

/** A way between ranks. */
export interface Link {
  readonly name: string;
  readonly latencySeconds: number;
  readonly bytesPerSecond: number;
}

/** What one allreduce took. */
export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
}

/** Seconds of an allreduce of `ranks` over a ring. */
export function allreduceSeconds(
  ranks: number,
  bytes: number,
  { latencySeconds, bytesPerSecond }: Link,
): number {
  if (ranks === 1) return 0;
  return 2 * (ranks - 1) * (latencySeconds + bytes / ranks / bytesPerSecond);
}

/**
 * The link that explains what allreduces of `ranks` took: the line of least squares of relative errors, so that small
 * messages count as much as large ones.
 *
 * @throws {RangeError} With fewer than two sizes.
 */
export function fitLink(name: string, ranks: number, transfers: readonly Transfer[]): Link {
  if (new Set(transfers.map(({ bytes }) => bytes)).size < 2) {
    throw new RangeError("Cannot fit a link to fewer than two sizes");
  }
  // seconds = a + b·bytes, weighted by 1 / seconds²
  let s = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const { bytes, seconds } of transfers) {
    const weight = 1 / seconds ** 2;
    s += weight;
    sx += weight * bytes;
    sy += weight * seconds;
    sxx += weight * bytes ** 2;
    sxy += weight * bytes * seconds;
  }
  const slope = (s * sxy - sx * sy) / (s * sxx - sx ** 2), start = Math.max(0, (sy - slope * sx) / s);
  const messages = 2 * (ranks - 1);
  return { name, latencySeconds: start / messages, bytesPerSecond: messages / ranks / slope };
}

/** What a step is made of. */
export interface StepWork {
  /** Micro-batches of a step, of all ranks together. */
  readonly microBatches: number;
  /** Forward and backward of one. */
  readonly microBatchSeconds: number;
  /** What each rank does once a step: gradients to the host and back, update. */
  readonly onceSeconds: number;
  /** Of gradients. */
  readonly bytes: number;
}

/** Seconds of a step of `ranks`. */
export function stepSeconds(ranks: number, work: StepWork, link: Link): number {
  return Math.ceil(work.microBatches / ranks) * work.microBatchSeconds + work.onceSeconds +
    allreduceSeconds(ranks, work.bytes, link);
}

/** How many times as fast as one rank, which exchanges nothing. */
export function speedup(ranks: number, work: StepWork, link: Link): number {
  const { microBatches, microBatchSeconds, onceSeconds } = work;
  return (microBatches * microBatchSeconds + onceSeconds) / stepSeconds(ranks, work, link);
}
