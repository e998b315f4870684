/**
 * Generates in a child process of the server: the GPU is waited for there, and a driver that crashes ends the child alone.
 * It is started with the first order and ended to give its memory back.
 *
 * @module
 */
import {
  type EngineFault,
  type FromGeneration,
  GenerationCrash,
  type GenerationEvent,
  type GenerationOrder,
  type TextGenerator,
  type ToGeneration,
} from "../generation.ts";
import { TextLineStream } from "./lines.ts";

/** How the process is started. */
export interface LocalGeneratorOptions {
  /** Program and its arguments; it speaks as `generation_process.ts` does. */
  readonly command: readonly [string, ...string[]];
  /** Variables that show it its GPU. */
  readonly env: Readonly<Record<string, string>>;
  /** After which a process that does not end an order that was taken back is killed. Default 30 000. */
  readonly patienceMs?: number;
}

/** Characters of the end of its log that are kept. */
const LOG_END = 4000;

interface Child {
  readonly process: Deno.ChildProcess;
  readonly words: AsyncIterator<FromGeneration>;
  readonly log: Promise<string>;
  say(word: ToGeneration): void;
}

export class LocalGenerator implements TextGenerator {
  readonly #options: LocalGeneratorOptions;
  #child: Child | null = null;
  #orders = 0;

  constructor(options: LocalGeneratorOptions) {
    this.#options = options;
  }

  async *generate(order: GenerationOrder, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    signal.throwIfAborted();
    const child = this.#child ??= this.#start(), id = ++this.#orders;
    let isOver = false, timer: ReturnType<typeof setTimeout> | undefined;
    const cancel = () => {
      if (timer !== undefined) return;
      child.say({ type: "cancel", id });
      timer = setTimeout(() => kill(child.process), this.#options.patienceMs ?? 30_000);
    };
    /** The next event; null at the end. */
    const next = async (): Promise<GenerationEvent | null> => {
      const { done, value: word } = await child.words.next();
      if (done) {
        isOver = true;
        throw await this.#crash(child);
      }
      if (word.type === "event") return word.event;
      isOver = true;
      if (word.isLast) await this.close();
      if (word.error && !signal.aborted) throw errorOf(word.error);
      return null;
    };
    signal.addEventListener("abort", cancel, { once: true });
    child.say({ type: "generate", id, order });
    try {
      for (let event = await next(); event; event = await next()) if (!signal.aborted) yield event;
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener("abort", cancel);
      if (!isOver) {
        cancel();
        await drain(next);
      }
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child) return;
    kill(child.process); // it has nothing to lose
    await child.words.return?.();
    await Promise.all([child.process.status, child.log]);
  }

  #start(): Child {
    const { command: [program, ...args], env } = this.#options;
    const process = new Deno.Command(program, {
      args,
      env: { ...env, NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const input = process.stdin.getWriter(), encoder = new TextEncoder();
    return {
      process,
      words: wordsOf(process.stdout),
      log: endOf(process.stderr),
      // a process that is gone takes no words: its end is told by its output
      say: (word) => void input.write(encoder.encode(`${JSON.stringify(word)}\n`)).catch(() => {}),
    };
  }

  async #crash(child: Child): Promise<GenerationCrash> {
    if (this.#child === child) this.#child = null;
    const [{ code, signal }, logEnd] = await Promise.all([child.process.status, child.log]);
    return new GenerationCrash(`ended ${signal ? `by ${signal}` : `with code ${code}`}\n${logEnd}`);
  }
}

/** Of the name that it had there. */
function errorOf({ name, message, stack, issues }: EngineFault): Error {
  return Object.assign(new Error(message), { name, issues, ...(stack === undefined ? {} : { stack }) });
}

async function drain(next: () => Promise<unknown>): Promise<void> {
  try {
    while (await next());
  } catch {
    // it ended, in whatever way
  }
}

async function* wordsOf(output: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<FromGeneration> {
  const lines = output.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) {
    if (!line.startsWith("{")) continue; // a library that prints
    let word: FromGeneration;
    try {
      word = JSON.parse(line);
    } catch {
      continue; // cut off by the end of the process
    }
    yield word;
  }
}

async function endOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let end = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) end = (end + text).slice(-LOG_END);
  return end;
}

function kill(process: Deno.ChildProcess): void {
  try {
    process.kill("SIGKILL");
  } catch {
    // it has ended meanwhile
  }
}
