/**
 * Jobs as several processes of this machine that Open MPI starts and connects, each with a GPU of its own.
 *
 * @module
 */
import { Child } from "./child.ts";
import type { JobLauncher, JobOrder, JobProcess } from "./launcher.ts";
import { jobOf, type LocalLauncherOptions } from "./local.ts";
import { writeOrder } from "./order_file.ts";

/** How ranks are started. */
export interface MpiLauncherOptions extends LocalLauncherOptions {
  /** Most processes of a job. */
  readonly ranks: number;
}

/** In a container the server is often root, which is none outside; `mpirun` wants it said twice. */
const AS_ROOT = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };

export class MpiLauncher implements JobLauncher {
  readonly #options: MpiLauncherOptions;

  constructor(options: MpiLauncherOptions) {
    this.#options = options;
  }

  launch(order: JobOrder): JobProcess {
    const { command, patienceMs } = this.#options, ranks = ranksOf(order.config, this.#options.ranks);
    const child = Child.start({
      // a rank is a GPU, not a core, and a process of several threads; standard input is that of rank 0
      command: [
        ...["mpirun", "-np", String(ranks), "--oversubscribe", "--bind-to", "none"] as const,
        ...[...command, writeOrder(order), "-"],
      ],
      env: { ...AS_ROOT, ...order.slot.env },
      cwd: order.folder,
      ownSession: true,
      endedBy: "SIGTERM", // which it hands on; ranks would outlive it otherwise
    });
    return jobOf(child, patienceMs, rankThatDied);
  }
}

/** A rank without a micro-batch of its own would have nothing to do. */
export function ranksOf(config: JobOrder["config"], most: number): number {
  return Math.min(most, Number(config.gradient_accumulation_steps ?? 1));
}

/** Which rank died and how, as `mpirun` tells it. */
export function rankThatDied(log: string): string | null {
  const [, rank, signal] =
    /process rank (\d+) with PID \d+ on\s+node \S+\s+exited on\s+signal (\d+ \([^)]*\))/.exec(log) ?? [];
  return rank === undefined ? null : `had its rank ${rank} ended by signal ${signal}`;
}
