/**
 * Generation as text: pieces as they become certain, stop strings, answers as a whole.
 *
 * @module
 */
import type { Tokenizer } from "../data/tokenizer.ts";
import { Detokenizer } from "./detokenizer.ts";
import type { GenerateOptions, Generator, StopReason } from "./generator.ts";

/** Options of {@link generateText}. */
export interface TextOptions extends Omit<GenerateOptions, "isLast"> {
  /** Text that ends a row; it and what follows it is not given out. Default none. */
  readonly stopStrings?: readonly string[];
  /** Whether special tokens are written out, a stop token too. Default false. */
  readonly showSpecialTokens?: boolean;
}

/** What one new token adds to the text of a row. */
export interface TextPiece {
  /** Row of the prompts, from 0. */
  readonly row: number;
  /** Empty where nothing is certain yet. */
  readonly text: string;
  /** Why the row ends here; null while it goes on. */
  readonly end: StopReason | null;
}

/** Continues prompts of token ids; a piece for each new token of each row. @throws As {@link Generator.generate}. */
export async function* generateText(
  generator: Generator,
  tokenizer: Tokenizer,
  prompts: readonly (readonly number[])[],
  options: TextOptions = {},
): AsyncGenerator<TextPiece> {
  const { stopStrings = [], showSpecialTokens = false } = options;
  const stopTokenIds = new Set(options.stopTokenIds);
  const rows = prompts.map((ids) =>
    new RowText(new Detokenizer(tokenizer, ids, !showSpecialTokens), stopStrings)
  );
  const isLast = (row: number, id: number) => rows[row]!.push(id);
  for await (const tokens of generator.generate(prompts, { ...options, stopTokenIds, isLast })) {
    for (const { row, id, end } of tokens) {
      if (stopTokenIds.has(id) && showSpecialTokens) rows[row]!.push(id);
      yield { row, text: rows[row]!.take(end !== null), end };
    }
  }
}

/** The whole answer to each prompt. @throws As {@link Generator.generate}. */
export async function collectTexts(pieces: AsyncIterable<TextPiece>, rows: number): Promise<string[]> {
  const texts = Array<string>(rows).fill("");
  for await (const { row, text } of pieces) texts[row] += text;
  return texts;
}

/** The text of one row, up to the first stop string. What may yet become one is held back. */
class RowText {
  readonly #detokenizer: Detokenizer;
  readonly #stops: readonly string[];
  #pending = "";
  #stopped = false;

  constructor(detokenizer: Detokenizer, stops: readonly string[]) {
    this.#detokenizer = detokenizer;
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** Adds a token; true once a stop string is complete. */
  push(id: number): boolean {
    this.#add(this.#detokenizer.push(id));
    return this.#stopped;
  }

  /** What can be given out now; at the end, all that is left. */
  take(isEnd: boolean): string {
    if (isEnd && !this.#stopped) this.#add(this.#detokenizer.flush());
    const held = isEnd ? 0 : this.#possibleStop();
    const text = this.#pending.slice(0, this.#pending.length - held);
    this.#pending = this.#pending.slice(text.length);
    return text;
  }

  #add(text: string): void {
    this.#pending += text;
    const found = this.#stops.map((stop) => this.#pending.indexOf(stop)).filter((at) => at >= 0);
    if (found.length === 0) return;
    this.#pending = this.#pending.slice(0, Math.min(...found));
    this.#stopped = true;
  }

  /** UTF-16 units at the end with which a stop string begins. */
  #possibleStop(): number {
    const begins = (length: number) => {
      const tail = this.#pending.slice(this.#pending.length - length);
      return this.#stops.some((stop) => stop.length > length && stop.startsWith(tail));
    };
    const most = Math.min(this.#pending.length, Math.max(0, ...this.#stops.map((stop) => stop.length)));
    for (let length = most; length > 0; length--) if (begins(length)) return length;
    return 0;
  }
}
