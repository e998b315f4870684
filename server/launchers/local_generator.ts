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
import { Child } from "./child.ts";
import { wordOf } from "./words.ts";

/** How the process is started. */
export interface LocalGeneratorOptions {
  /** Program and its arguments; it speaks as `generation_process.ts` does. */
  readonly command: readonly [string, ...string[]];
  /** Variables that show it its GPU. */
  readonly env: Readonly<Record<string, string>>;
  /** After which a process that does not end an order that was taken back is killed. Default 30 000. */
  readonly patienceMs?: number;
}

interface Talk {
  readonly child: Child;
  readonly words: AsyncIterator<FromGeneration>;
  say(word: ToGeneration): void;
}

export class LocalGenerator implements TextGenerator {
  readonly #options: LocalGeneratorOptions;
  #talk: Talk | null = null;
  #orders = 0;

  constructor(options: LocalGeneratorOptions) {
    this.#options = options;
  }

  async *generate(order: GenerationOrder, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    signal.throwIfAborted();
    const talk = this.#talk ??= this.#start(), id = ++this.#orders;
    let isOver = false, timer: ReturnType<typeof setTimeout> | undefined;
    const cancel = () => {
      if (timer !== undefined) return;
      talk.say({ type: "cancel", id });
      timer = setTimeout(() => talk.child.kill(), this.#options.patienceMs ?? 30_000);
    };
    /** The next event; null at the end. */
    const next = async (): Promise<GenerationEvent | null> => {
      const { done, value: word } = await talk.words.next();
      if (done) {
        isOver = true;
        throw await this.#crash(talk);
      }
      if (word.type === "event") return word.event;
      isOver = true;
      if (word.isLast) await this.close();
      if (word.error && !signal.aborted) throw errorOf(word.error);
      return null;
    };
    signal.addEventListener("abort", cancel, { once: true });
    talk.say({ type: "generate", id, order });
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
    const talk = this.#talk;
    this.#talk = null;
    if (!talk) return;
    talk.child.kill(); // it has nothing to lose
    await talk.words.return?.();
    await Promise.all([talk.child.status, talk.child.logEnd]);
  }

  #start(): Talk {
    const child = Child.start(this.#options);
    return { child, words: wordsOf(child.lines), say: (word) => child.say(JSON.stringify(word)) };
  }

  async #crash(talk: Talk): Promise<GenerationCrash> {
    if (this.#talk === talk) this.#talk = null;
    const [{ code, signal }, logEnd] = await Promise.all([talk.child.status, talk.child.logEnd]);
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

async function* wordsOf(lines: ReadableStream<string>): AsyncGenerator<FromGeneration> {
  for await (const line of lines) {
    const word = wordOf<FromGeneration>(line);
    if (word) yield word;
  }
}
