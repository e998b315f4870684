/**
 * `lowrank generate`.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import type { StopReason } from "../generate/generator.ts";
import { formatRate } from "./format.ts";
import type { ParsedFlags } from "./flags.ts";
import {
  GENERATE_FLAGS,
  isOn,
  missingModel,
  modelRequest,
  readFlags,
  writingOptions,
} from "./generate_flags.ts";
import { checkPromptFlags, type Prompt, readPrompts } from "./generate_prompts.ts";
import { generateHelp } from "./help.ts";
import type { CliIo } from "./io.ts";

/**
 * Continues prompts and writes what comes of them.
 *
 * @throws {ConfigError} For unknown flags and values that do not validate, before anything is loaded.
 * @throws What loading and generating throw; `InterruptedError` after a signal.
 */
export async function generate(args: readonly string[], io: CliIo): Promise<void> {
  const flags = readFlags(args, GENERATE_FLAGS);
  if (!flags) return io.stdout.write(generateHelp());
  const issues = [...missingModel(flags), ...checkPromptFlags(flags, io.stdin.isTerminal)];
  const options = writingOptions(flags, 0, issues);
  const request = await modelRequest(flags, io);
  const prompts = await readPrompts(flags, io);
  await io.untilInterrupted(async (signal) => {
    const model = await io.openModel(request);
    const output = new Answers(prompts, flags, io), clock = new SpeedMeter();
    try {
      const ids = prompts.map((prompt) => model.promptOf(prompt));
      const pieces = model.generate(ids, { ...options, signal, showSpecialTokens: isOn(flags, "raw") });
      for await (const { row, text, end } of pieces) {
        clock.count();
        output.add(row, text, end);
      }
    } finally {
      output.close();
      await model.close();
    }
    if (!isOn(flags, "quiet")) io.stderr.write(`${clock.line()}\n`);
  });
}

/** How fast tokens came: the first waits for the prompt and for kernels to compile. */
export class SpeedMeter {
  readonly #now: () => number;
  readonly #start: number;
  #first: number;
  #last: number;
  #tokens = 0;

  /** `now` gives milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#start = this.#first = this.#last = now();
  }

  /** Call for each token. */
  count(): void {
    this.#last = this.#now();
    if (this.#tokens++ === 0) this.#first = this.#last;
  }

  /** `42 tokens, 31 tok/s (the first after 0.8 s)` */
  line(): string {
    const seconds = (this.#last - this.#first) / 1000;
    const rate = this.#tokens > 1 && seconds > 0 ? `, ${formatRate((this.#tokens - 1) / seconds)} tok/s` : "";
    const wait = `the first after ${((this.#first - this.#start) / 1000).toFixed(1)} s`;
    return `${this.#tokens} ${this.#tokens === 1 ? "token" : "tokens"}${rate} (${wait})`;
  }
}

interface Answer {
  text: string;
  tokens: number;
  end: StopReason | null;
}

/** Writes answers in the order of their prompts: a single one as it comes, each of several once it is whole. */
class Answers {
  readonly #prompts: readonly Prompt[];
  readonly #answers: readonly Answer[];
  readonly #json: boolean;
  readonly #raw: boolean;
  readonly #io: CliIo;
  /** Answers written so far. */
  #written = 0;
  #streamed = "";

  constructor(prompts: readonly Prompt[], flags: ParsedFlags, io: CliIo) {
    if (prompts.length === 0) throw new ConfigError([{ path: "--prompt", message: "is missing" }]);
    this.#prompts = prompts;
    this.#answers = prompts.map(() => ({ text: "", tokens: 0, end: null }));
    this.#json = isOn(flags, "json");
    this.#raw = isOn(flags, "raw");
    this.#io = io;
  }

  add(row: number, text: string, end: StopReason | null): void {
    const answer = this.#answers[row]!;
    answer.text += text;
    answer.tokens++;
    answer.end = end;
    if (this.#prompts.length === 1 && !this.#json) {
      this.#io.stdout.write(text);
      this.#streamed += text;
      return;
    }
    while (this.#answers[this.#written]?.end) this.#write(this.#written++);
  }

  /** Ends the line of a streamed answer, an interrupted one too. */
  close(): void {
    const open = this.#streamed !== "" && !this.#streamed.endsWith("\n");
    if (open && (!this.#raw || this.#answers[0]!.end === null)) this.#io.stdout.write("\n");
  }

  #write(row: number): void {
    const { text, tokens, end } = this.#answers[row]!;
    if (this.#json) {
      const line = { prompt: this.#prompts[row], text, new_tokens: tokens, end };
      this.#io.stdout.write(`${JSON.stringify(line)}\n`);
    } else this.#io.stdout.write(`--- ${row + 1}\n${text}${text.endsWith("\n") ? "" : "\n"}`);
  }
}
