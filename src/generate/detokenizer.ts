/**
 * Token ids to text, one at a time, as a terminal shows it.
 *
 * @module
 */
import type { Tokenizer } from "../data/tokenizer.ts";

/** Tokens of the prompt that decide how the first new one is spelled, such as whether its space is kept. */
const CONTEXT_TOKENS = 8;
/** Tokens after which bytes that still make no character are shown as U+FFFD; a character has at most 4 bytes. */
const MOST_HELD = 16;

/**
 * Turns tokens into pieces of text that put together are the decoded whole. A character that takes several tokens (an
 * emoji, a letter in byte fallback) comes in one piece, with its last token. Leading spaces are those of the whole text:
 * many tokenizers drop the space of a first token, so each piece is what decoding a window gains by its new tokens.
 */
export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecialTokens: boolean;
  #window: number[];
  /** Tokens at the window's start whose text has been given out. */
  #given: number;

  /** `prompt` is what the tokens continue. */
  constructor(tokenizer: Tokenizer, prompt: readonly number[], skipSpecialTokens = true) {
    this.#tokenizer = tokenizer;
    this.#skipSpecialTokens = skipSpecialTokens;
    this.#window = prompt.slice(-CONTEXT_TOKENS);
    this.#given = this.#window.length;
  }

  /** The text that is certain with this token; empty while a character is incomplete. */
  push(id: number): string {
    this.#window.push(id);
    const held = this.#window.length - this.#given;
    const text = this.#gained();
    if (text.endsWith("\uFFFD") && held < MOST_HELD) return "";
    this.#moveOn();
    return text;
  }

  /** What is left at the end: an incomplete character as U+FFFD. */
  flush(): string {
    const text = this.#gained();
    this.#moveOn();
    return text;
  }

  #gained(): string {
    const decode = (ids: readonly number[]) =>
      this.#tokenizer.decode(ids, { skipSpecialTokens: this.#skipSpecialTokens });
    return decode(this.#window).slice(decode(this.#window.slice(0, this.#given)).length);
  }

  /** Keeps the newest tokens as the context of the next; what lies before them decides nothing any more. */
  #moveOn(): void {
    const complete = this.#window.length;
    this.#window = this.#window.slice(Math.max(0, Math.min(this.#given, complete - CONTEXT_TOKENS)));
    this.#given = this.#window.length;
  }
}
