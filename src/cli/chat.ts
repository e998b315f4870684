/**
 * `lowrank chat`.
 *
 * @module
 */

import type { Message } from "../data/formats.ts";
import { ConfigError } from "../errors.ts";
import { InterruptedError } from "./exit_codes.ts";
import { SpeedMeter } from "./generate.ts";
import {
  CHAT_FLAGS,
  isOn,
  missingModel,
  modelRequest,
  readFlags,
  textOf,
  type WritingOptions,
  writingOptions,
} from "./generate_flags.ts";
import { chatHelp } from "./help.ts";
import type { CliIo, WritingModel } from "./io.ts";
import { type Paint, painter, wantsColor } from "./paint.ts";

/**
 * Talks until `/exit` or the end of input. Ctrl-C during an answer stops the answer alone.
 *
 * @throws {ConfigError} For unknown flags and values that do not validate, or a model without a chat template.
 * @throws What loading and generating throw.
 */
export async function chat(args: readonly string[], io: CliIo): Promise<void> {
  const flags = readFlags(args, CHAT_FLAGS);
  if (!flags) return io.stdout.write(chatHelp());
  const options = writingOptions(flags, 0.7, missingModel(flags));
  const system = textOf(flags, "system");
  const model = await io.openModel(await modelRequest(flags, io));
  const color = wantsColor(textOf(flags, "color") ?? "auto", io.env, io.stdout);
  const talk = new Conversation(model, options, system, io, painter(color), isOn(flags, "quiet"));
  try {
    model.promptOf([{ role: "user", content: "" }]); // a model that cannot chat says so before the first question
    if (io.stdin.isTerminal) io.stderr.write("/reset forgets the conversation, /exit or Ctrl-D ends it\n");
    await talk.run();
  } finally {
    await model.close();
  }
}

class Conversation {
  readonly #model: WritingModel;
  readonly #options: WritingOptions;
  readonly #opening: readonly Message[];
  readonly #io: CliIo;
  readonly #paint: Paint;
  readonly #quiet: boolean;
  #messages: Message[];
  /** Answers so far, also those forgotten: each draws other random numbers. */
  #turns = 0;

  constructor(
    model: WritingModel,
    options: WritingOptions,
    system: string | null,
    io: CliIo,
    paint: Paint,
    quiet: boolean,
  ) {
    this.#model = model;
    this.#options = options;
    this.#opening = system === null ? [] : [{ role: "system", content: system }];
    this.#messages = [...this.#opening];
    this.#io = io;
    this.#paint = paint;
    this.#quiet = quiet;
  }

  async run(): Promise<void> {
    const { stdin, stdout } = this.#io;
    for (;;) {
      if (stdin.isTerminal) stdout.write(this.#paint("cyan", "> "));
      const line = await this.#io.untilInterrupted((signal) => orInterrupted(stdin.line(), signal));
      if (line === null || line.trim() === "/exit") break;
      if (line.trim() === "") continue;
      if (line.trim() === "/reset") this.#messages = [...this.#opening];
      else if (/^\/\w+$/.test(line.trim())) this.#io.stderr.write("there are /reset and /exit\n");
      else await this.#answer(line);
    }
  }

  /** One question and its answer; a question that cannot be answered is taken back. */
  async #answer(content: string): Promise<void> {
    const asked: Message[] = [...this.#messages, { role: "user", content }];
    try {
      const answer = await this.#io.untilInterrupted((signal) => this.#write(asked, signal));
      this.#messages = [...asked, { role: "assistant", content: answer }];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const reason = error.issues.map(({ path, message }) => `${path} ${message}`).join("; ");
      this.#io.stderr.write(`${this.#paint("red", "error:")} ${reason}: /reset starts anew\n`);
    }
  }

  async #write(messages: readonly Message[], signal: AbortSignal): Promise<string> {
    const { stdout, stderr } = this.#io;
    const clock = new SpeedMeter(), seed = (this.#options.seed + this.#turns++) % 2 ** 32;
    const options = { ...this.#options, seed, signal, reuseCache: true };
    let answer = "";
    try {
      for await (const { text } of this.#model.generate([this.#model.promptOf(messages)], options)) {
        clock.count();
        answer += text;
        stdout.write(text);
      }
    } catch (error) {
      if (!stopsAnswerOnly(error)) throw error;
    }
    stdout.write("\n");
    if (!this.#quiet) stderr.write(`${this.#paint("dim", clock.line())}\n`);
    return answer;
  }
}

/** What is waited for, unless a signal comes first: a terminal may keep a read waiting for ever. */
function orInterrupted<T>(awaited: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    awaited.then(resolve, reject);
  });
}

function stopsAnswerOnly(error: unknown): boolean {
  return error instanceof InterruptedError && error.signalName === "SIGINT";
}
