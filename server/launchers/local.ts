/**
 * Jobs as child processes of the server. A driver that crashes ends a job's process and not the server.
 *
 * @module
 */
import { TextLineStream } from "./lines.ts";
import type { TrainingEvent } from "../../src/job.ts";
import type { JobLauncher, JobOrder, JobOutcome, JobProcess, ToldError } from "./launcher.ts";

/** How processes are started. */
export interface LocalLauncherOptions {
  /** Program and its arguments; it reads an order on standard input and answers as `job_process.ts` does. */
  readonly command: readonly [string, ...string[]];
  /** After which a process that was asked to stop is killed. Default 120 000. */
  readonly patienceMs?: number;
}

/** Characters of the end of the log that are kept. */
const LOG_END = 4000;

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
    const { command: [program, ...args], patienceMs = 120_000 } = this.#options;
    const child = new Deno.Command(program, {
      args,
      cwd: folder,
      env: { ...slot.env, NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const input = child.stdin.getWriter(), encoder = new TextEncoder();
    // a process that is gone takes no words: its end is told by its status
    const say = (line: string) => void input.write(encoder.encode(`${line}\n`)).catch(() => {});
    say(JSON.stringify({ config }));
    const log = endOf(child.stderr);
    let outcome: JobOutcome | null = null, timer: ReturnType<typeof setTimeout> | undefined;
    const told = Promise.withResolvers<JobOutcome>();

    async function* events(): AsyncGenerator<TrainingEvent> {
      try {
        const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
        for await (const line of lines) {
          const word = wordOf(line);
          if (word?.type === "event") yield word.event;
          else if (word) outcome = outcomeOf(word);
        }
      } finally {
        const [{ code, signal }, logEnd] = await Promise.all([child.status, log]);
        clearTimeout(timer);
        await input.close().catch(() => {});
        const how = signal ? `ended by ${signal}` : `ended with code ${code}`;
        told.resolve(outcome ?? { type: "crashed", how, logEnd });
      }
    }
    return {
      events: events(),
      outcome: told.promise,
      stop: () => {
        if (timer !== undefined) return;
        say("stop");
        timer = setTimeout(() => kill(child), patienceMs);
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

async function endOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let end = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) end = (end + text).slice(-LOG_END);
  return end;
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // it has ended meanwhile
  }
}
