/**
 * Jobs as child processes of the server. A driver that crashes ends a job's process and not the server.
 *
 * @module
 */
import type { TrainingEvent } from "../../src/job.ts";
import { Child } from "./child.ts";
import type { JobLauncher, JobOrder, JobOutcome, JobProcess } from "./launcher.ts";
import { outcomeOf, wordOf } from "./words.ts";

/** How processes are started. */
export interface LocalLauncherOptions {
  /** Program and its arguments; it reads an order on standard input and answers as `job_process.ts` does. */
  readonly command: readonly [string, ...string[]];
  /** After which a process that was asked to stop is killed. Default 120 000. */
  readonly patienceMs?: number;
}

export class LocalLauncher implements JobLauncher {
  readonly #options: LocalLauncherOptions;

  constructor(options: LocalLauncherOptions) {
    this.#options = options;
  }

  launch({ config, folder, slot }: JobOrder): JobProcess {
    const { command, patienceMs } = this.#options;
    const child = Child.start({ command, env: slot.env, cwd: folder });
    child.say(JSON.stringify({ config }));
    return jobOf(child, patienceMs);
  }
}

/**
 * A child that says words, and takes `stop`, as the process of a job.
 *
 * @param patienceMs After which a child that was asked to stop is killed. Default 120 000.
 * @param reasonIn Finds the reason of a crash in the end of the log; default how the child itself ended.
 */
export function jobOf(
  child: Child,
  patienceMs = 120_000,
  reasonIn: (logEnd: string) => string | null = () => null,
): JobProcess {
  let outcome: JobOutcome | null = null, timer: ReturnType<typeof setTimeout> | undefined;
  const told = Promise.withResolvers<JobOutcome>();

  async function* events(): AsyncGenerator<TrainingEvent> {
    try {
      for await (const line of child.lines) {
        const word = wordOf(line);
        if (word?.type === "event") yield word.event;
        else if (word) outcome = outcomeOf(word);
      }
    } finally {
      const [{ code, signal }, logEnd] = await Promise.all([child.status, child.logEnd]);
      clearTimeout(timer);
      await child.endInput();
      const how = reasonIn(logEnd) ?? (signal ? `ended by ${signal}` : `ended with code ${code}`);
      told.resolve(outcome ?? { type: "crashed", how, logEnd });
    }
  }
  return {
    events: events(),
    outcome: told.promise,
    stop: () => {
      if (timer !== undefined) return;
      child.say("stop");
      timer = setTimeout(() => child.kill(), patienceMs);
    },
  };
}
