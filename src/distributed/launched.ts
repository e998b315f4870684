/**
 * Which of the processes that `mpirun` started this one is.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";

/** A place among the processes of a run. */
export interface LaunchedRank {
  /** From 0, over all hosts. */
  readonly rank: number;
  readonly size: number;
}

/** The place that Open MPI's launcher gave this process; rank 0 of 1 where there was none. */
export function launchedRank(env: Readonly<Record<string, string>>): LaunchedRank {
  const { OMPI_COMM_WORLD_SIZE: size, OMPI_COMM_WORLD_RANK: rank } = env;
  return size === undefined || rank === undefined
    ? { rank: 0, size: 1 }
    : { rank: Number(rank), size: Number(size) };
}

/** @throws {ConfigError} If another MPI started this process: each would take itself for the only one. */
export function refuseOtherLaunchers(env: Readonly<Record<string, string>>): void {
  if (env.OMPI_COMM_WORLD_SIZE !== undefined || Number(env.PMI_SIZE ?? 1) === 1) return;
  throw new ConfigError([{
    path: "mpirun",
    message: "is not Open MPI's: start the ranks with that one (Debian's package openmpi-bin)",
  }]);
}
