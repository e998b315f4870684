/**
 * A command that is one of several ranks: what it computes on, what it may say, and how it waits for the one that leads.
 *
 * @module
 */
import { type LaunchedRank, launchedRank, refuseOtherLaunchers } from "../distributed/launched.ts";
import { RankStoppedError } from "../distributed/communicator.ts";
import { ConfigError, type ConfigIssue, DivergedError } from "../errors.ts";
import type { CliIo, Sink } from "./io.ts";
import { variableSets } from "./variables.ts";

/** Variables of each rank of a machine, by `;`: they show it its GPU. */
export const RANK_ENV = "LOWRANK_RANK_ENV";

/** Time for rank 0 to tell of an error that all ranks have; then a rank tells of its own. */
const LEAD_TELLS_MS = 5000;

type Env = Readonly<Record<string, string>>;

/**
 * Variables that a rank computes with: those that show it its GPU, and for drivers that compute on the CPU its share of
 * the machine's threads. Nothing where the process is the only one.
 *
 * @param cores Of the machine.
 * @throws {ConfigError} If `LOWRANK_RANK_ENV` has no set for a rank of this machine.
 */
export function rankVariables(env: Env, cores: number): Record<string, string> {
  const { size, localRank, localSize } = launchedRank(env);
  if (size === 1) return {};
  const issues: ConfigIssue[] = [];
  const sets = env[RANK_ENV] ? variableSets(env[RANK_ENV], RANK_ENV, issues) : [];
  if (sets.length > 0 && localRank >= sets.length) {
    const message =
      `names ${sets.length} ranks, and this machine has ${localSize}: give a set for each, by ";"`;
    issues.push({ path: RANK_ENV, message });
  }
  if (issues.length > 0) throw new ConfigError(issues);
  const threads = env.LP_NUM_THREADS ?? String(Math.max(1, Math.floor(cores / localSize)));
  return { LP_NUM_THREADS: threads, ...sets[localRank] };
}

/**
 * Takes `--ranks` for what it asks: that so many processes were started.
 *
 * @throws {ConfigError} If they were not.
 */
export function checkRanks(wanted: string | boolean | undefined, env: Env): void {
  refuseOtherLaunchers(env);
  if (wanted === undefined) return;
  const fail = (message: string) => {
    throw new ConfigError([{ path: "--ranks", message }]);
  };
  if (!/^[1-9]\d{0,5}$/.test(String(wanted))) {
    fail(`must be a whole number from 1 to 999999: current value is "${wanted}"`);
  }
  const { size } = launchedRank(env);
  if (Number(wanted) === size) return;
  if (size > 1) fail(`is ${wanted}, but mpirun has started ${size}: leave it out, or make them the same`);
  fail(`is for ./lowrank, which starts them: or write mpirun -np ${wanted} before the command`);
}

/** The same outside for a rank that does not lead: rank 0 says all that there is to say. */
export function silent(io: CliIo): CliIo {
  const nowhere: Sink = { write() {}, isTerminal: false, columns: 100 };
  return { ...io, stdout: nowhere, stderr: nowhere };
}

/**
 * Gives rank 0 the time to tell of what went wrong: when it exits, `mpirun` ends this process. Of what ends the run on all
 * ranks alike it tells alone, however long it takes to save; it may know nothing of anything else.
 */
export async function letLeadTell(error: unknown): Promise<void> {
  const isOfAll = error instanceof RankStoppedError || error instanceof DivergedError;
  await new Promise((resolve) => setTimeout(resolve, isOfAll ? 2 ** 31 - 1 : LEAD_TELLS_MS));
}

/** How a rank calls itself before a line of its own. */
export function nameOf({ rank, size }: LaunchedRank): string {
  return `rank ${rank} of ${size}: `;
}
