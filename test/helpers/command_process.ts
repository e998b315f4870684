/**
 * The command `lowrank` as a process of its own, watched as it writes.
 *
 * @module
 */
const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const RIGHTS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-net=127.0.0.1"];

/** A command that runs. */
export class CommandProcess {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  readonly #waiting = new Set<() => void>();
  readonly #closing = new AbortController();
  /** What it has written to both streams so far. */
  text = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#read = Promise.all([this.#follow(child.stdout), this.#follow(child.stderr)]).then(() => {});
  }

  /** @param cwd The folder it starts in. @param env Added to the environment of this process. */
  static start(args: readonly string[], cwd: string, env: Record<string, string> = {}): CommandProcess {
    const command = ["run", "--config", `${ROOT}deno.json`, "--no-prompt", ...RIGHTS, `${ROOT}src/main.ts`];
    return new CommandProcess(
      new Deno.Command(Deno.execPath(), {
        args: [...command, ...args],
        cwd,
        env: { NO_COLOR: "1", METADATA_SERVER_DETECTION: "none", ...env },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
  }

  /** Resolves once it has written this. @throws {Error} If it ends without. */
  async until(wanted: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => wanted.test(this.text) && resolve();
    this.#waiting.add(look);
    look();
    await Promise.race([
      promise,
      this.#read.then(() => {
        if (!wanted.test(this.text)) throw new Error(`the command ended without ${wanted}:\n${this.text}`);
      }),
    ]);
    this.#waiting.delete(look);
  }

  /** Reads no more of what it writes, as `head` does. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#read;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Its exit code, once it has ended. */
  async code(): Promise<number> {
    await this.#read;
    return (await this.#child.status).code;
  }

  async #follow(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    const reader = stream.getReader(), decoder = new TextDecoder();
    this.#closing.signal.addEventListener("abort", () => void reader.cancel());
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      this.text += decoder.decode(part.value, { stream: true });
      for (const look of this.#waiting) look();
    }
  }
}
