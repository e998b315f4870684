/**
 * Jobs as child processes of the server. A driver that crashes ends a job's process and not the server.
 *
 * @module
 */
import type { TrainingEvent } from "../../src/job.ts";
import { Child } from "./child.ts";
import type { JobLauncher, JobOrder, JobOutcome, JobProcess, ToldError } from "./launcher.ts";

/** How processes are started. */
export interface LocalLauncherOptions {
  /** Program and its arguments; it reads an order on standard input and answers as `job_process.ts` does. */
  readonly command: readonly [string, ...string[]];
  /** After which a process that was asked to stop is killed. Default 120 000. */
  readonly patienceMs?: number;
}

/** What a process says, a line each. */
type Word =
  | { readonly type: "event"; readonly event: TrainingEvent }
  | { readonly type: "over"; readonly error: ToldError | null }
  | { readonly type: "stopped" };

export class LocalLauncher implements JobLauncher {
  readonly #options: LocalLauncherOptions;

  constructor(options: LocalLauncherOptions) {
    this.#options = options;
  }

  launch({ config, folder, slot }: JobOrder): JobProcess {
    const { command, patienceMs = 120_000 } = this.#options;
    const child = Child.start({ command, env: slot.env, cwd: folder });
    child.say(JSON.stringify({ config }));
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
        const how = signal ? `ended by ${signal}` : `ended with code ${code}`;
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
}

function wordOf(line: string): Word | null {
  try {
    return JSON.parse(line);
  } catch {
    return null; // a library that prints
  }
}

function outcomeOf(word: Exclude<Word, { type: "event" }>): JobOutcome {
  if (word.type === "stopped") return { type: "stopped" };
  return word.error ? { type: "failed", error: word.error } : { type: "completed" };
}
