/**
 * PEFT in a Python process of its own that trains when it is told to.
 *
 * @module
 */
import { linesOf } from "../../src/text_lines.ts";
import type { Round } from "../clock.ts";

const SCRIPT = decodeURIComponent(new URL("./peft_child.py", import.meta.url).pathname);

export class PeftProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #commands: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  /** @param venv A Python environment with PyTorch, transformers and PEFT. @param model A folder of Hugging Face's layout. */
  constructor(venv: string, model: string) {
    this.#process = new Deno.Command(`${venv}/bin/python`, {
      args: [SCRIPT, model, String(navigator.hardwareConcurrency)],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#commands = this.#process.stdin.getWriter();
    this.#answers = linesOf(this.#process.stdout).getReader();
  }

  /** Begins anew with updates of this rank on all linear maps. */
  async begin(rank: number, length: number): Promise<void> {
    await this.#ask({ rank, length });
  }

  /** Trains; `loss` is that of the first of these steps, before its update. */
  async train(steps: number): Promise<Round & { readonly loss: number }> {
    const answer = await this.#ask({ steps });
    return { wallMs: answer.wall_ms!, cpuMs: answer.cpu_ms!, loss: answer.loss! };
  }

  async #ask(command: object): Promise<Partial<Record<string, number>>> {
    await this.#commands.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    const { value, done } = await this.#answers.read();
    if (done) {
      throw new Error(
        `PEFT ended before it answered ${JSON.stringify(command)}: run "python ${SCRIPT}" by hand to see why`,
      );
    }
    return JSON.parse(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#commands.close().catch(() => {}); // it may have ended by itself
    await this.#process.status;
    await this.#answers.cancel();
  }
}
