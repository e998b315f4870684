/**
 * Child processes that the server talks with, a line at a time.
 *
 * @module
 */
import { linesOf } from "../../src/text_lines.ts";

/** Characters of the end of a log that are kept. */
const LOG_END = 4000;

/** How a child is started. */
export interface ChildOptions {
  /** Program and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Added to the environment of the server. */
  readonly env: Readonly<Record<string, string>>;
  /** The folder it starts in; default the server's. */
  readonly cwd?: string;
  /** Whether signals of the terminal, such as Ctrl-C, pass it by. Default false. */
  readonly ownSession?: boolean;
  /** How it is ended at once. Default SIGKILL. */
  readonly endedBy?: "SIGKILL" | "SIGTERM";
}

/** A child that runs. */
export class Child {
  readonly status: Promise<Deno.CommandStatus>;
  /** What it says on standard output. */
  readonly lines: ReadableStream<string>;
  /** The end of what it wrote on standard error, once it has ended. */
  readonly logEnd: Promise<string>;
  readonly #process: Deno.ChildProcess;
  readonly #endedBy: Deno.Signal;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #encoder = new TextEncoder();

  private constructor(process: Deno.ChildProcess, endedBy: Deno.Signal) {
    this.#process = process;
    this.#endedBy = endedBy;
    this.#input = process.stdin.getWriter();
    this.status = process.status;
    this.lines = linesOf(process.stdout);
    this.logEnd = endOf(process.stderr);
  }

  static start(options: ChildOptions): Child {
    const { command: [program, ...args], env, cwd, ownSession = false, endedBy = "SIGKILL" } = options;
    return new Child(
      new Deno.Command(program, {
        args,
        env: { ...env, NO_COLOR: "1" },
        ...(cwd === undefined ? {} : { cwd }),
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
        detached: ownSession,
      }).spawn(),
      endedBy,
    );
  }

  /** Writes a line to its standard input. One that is gone takes none: its end is told by its status. */
  say(line: string): void {
    void this.#input.write(this.#encoder.encode(`${line}\n`)).catch(() => {});
  }

  /** Ends its standard input. */
  async endInput(): Promise<void> {
    await this.#input.close().catch(() => {});
  }

  /** Ends it at once, if it has not ended. */
  kill(): void {
    try {
      this.#process.kill(this.#endedBy);
    } catch {
      // it has ended meanwhile
    }
  }
}

async function endOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let end = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) end = (end + text).slice(-LOG_END);
  return end;
}
