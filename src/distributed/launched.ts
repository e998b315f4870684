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
  /** The same among the processes of its own host. */
  readonly localRank: number;
  readonly localSize: number;
}

/** The place that Open MPI's launcher gave this process; rank 0 of 1 where there was none. */
export function launchedRank(env: Readonly<Record<string, string>>): LaunchedRank {
  const { OMPI_COMM_WORLD_SIZE: size, OMPI_COMM_WORLD_RANK: rank } = env;
  const { OMPI_COMM_WORLD_LOCAL_SIZE: localSize, OMPI_COMM_WORLD_LOCAL_RANK: localRank } = env;
  if (size === undefined || rank === undefined) return { rank: 0, size: 1, localRank: 0, localSize: 1 };
  return {
    rank: Number(rank),
    size: Number(size),
    localRank: Number(localRank ?? rank),
    localSize: Number(localSize ?? size),
  };
}

/** @throws {ConfigError} If another MPI started this process: each would take itself for the only one. */
export function refuseOtherLaunchers(env: Readonly<Record<string, string>>): void {
  if (env.OMPI_COMM_WORLD_SIZE !== undefined || Number(env.PMI_SIZE ?? 1) === 1) return;
  throw new ConfigError([{
    path: "mpirun",
    message: "is not Open MPI's: start the ranks with that one (Debian's package openmpi-bin)",
  }]);
}
