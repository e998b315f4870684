import { Tokenizer as Encoder } from "@huggingface/tokenizers";
import { ModelFormatError } from "../errors.ts";
import type { ReadableFolder } from "../storage.ts";
import { Sha256 } from "./sha256.ts";
import { readTokenizerFiles, type TokenizerFiles } from "./tokenizer_files.ts";
import { anyOf, WordEncoder } from "./word_encoder.ts";

/** Breaks up special-token text that is meant literally; encode() drops it. Unicode reserves it for inner use. */
const LITERAL = "\uFDD0";
/** Stands before special-token text that is meant as the token, where both kinds occur in one text. */
const MARK = "\uFDD1";

/** A Hugging Face tokenizer: text to token ids and back, the same ids as `transformers` gives. */
export class Tokenizer {
  /** Text of the token that begins a text; null for a tokenizer without one. */
  readonly bosToken: string | null;
  /** Text of the token that ends a text; null for a tokenizer without one. */
  readonly eosToken: string | null;
  /** Falls back to the end token. Padding is told by position, never by this id. */
  readonly padToken: string | null;
  /** Id of `bosToken`. */
  readonly bosTokenId: number | null;
  /** Id of `eosToken`. */
  readonly eosTokenId: number | null;
  /** Falls back to the end token, then to 0. */
  readonly padTokenId: number;
  /** Largest id + 1. The model's embedding may have more rows. */
  readonly vocabSize: number;
  /** Jinja source; null for a base model without one. */
  readonly chatTemplate: string | null;

  readonly #files: TokenizerFiles;
  readonly #encoder: Encoder;
  readonly #words: WordEncoder;
  readonly #specialText: RegExp | null;
  readonly #specialIds: ReadonlySet<number>;
  /** What the tokenizer puts around a text, by its own rule. */
  readonly #prefix: readonly number[];
  readonly #suffix: readonly number[];
  #fingerprint: string | null = null;
  #markedWords: WordEncoder | null = null;

  private constructor(files: TokenizerFiles) {
    this.#files = files;
    this.#encoder = newEncoder(files.uri, files.tokenizer, files.config);
    this.#words = new WordEncoder(this.#encoder, files.tokenizer, files.config);
    const specialTokens = files.addedTokens.filter(({ special }) => special);
    const special = specialTokens.map(({ content }) => content);
    this.#specialIds = new Set(specialTokens.map(({ id }) => id));
    this.#specialText = special.length === 0 ? null : new RegExp(anyOf(special), "g");
    this.bosToken = files.specialTokens.bos_token ?? null;
    this.eosToken = files.specialTokens.eos_token ?? null;
    this.padToken = files.specialTokens.pad_token ?? this.eosToken;
    this.bosTokenId = this.#idOf("bos_token", this.bosToken);
    this.eosTokenId = this.#idOf("eos_token", this.eosToken);
    this.padTokenId = this.#idOf("pad_token", this.padToken) ?? 0;
    this.vocabSize =
      [...this.#encoder.get_vocab(true).values()].reduce((most, id) => Math.max(most, id), -1) + 1;
    this.chatTemplate = files.chatTemplate;
    [this.#prefix, this.#suffix] = this.#surroundings();
  }

  /**
   * Reads `tokenizer.json`, and where present `tokenizer_config.json`, `special_tokens_map.json` and
   * `chat_template.jinja`.
   *
   * @throws {StorageNotFoundError} If there is no `tokenizer.json`.
   * @throws {ModelFormatError} If a file is damaged, or names a special token that the vocabulary lacks.
   */
  static async load(folder: ReadableFolder): Promise<Tokenizer> {
    return new Tokenizer(await readTokenizerFiles(folder));
  }

  /**
   * Token ids of a text.
   *
   * @param options.addSpecialTokens Whether the tokenizer puts BOS and EOS around the text by its own rule;
   * default false. `add_bos_token` and `add_eos_token` of the tokenizer's configuration overrule
   * `tokenizer.json`.
   * @param options.allowSpecialTokens Whether the text of a special token, such as `<|im_end|>`, becomes that
   * token; default true. Text that went through `literal()` never does.
   */
  encode(text: string, options: { addSpecialTokens?: boolean; allowSpecialTokens?: boolean } = {}): number[] {
    const { addSpecialTokens = false, allowSpecialTokens = true } = options;
    const source = allowSpecialTokens ? text : this.literal(text);
    const ids = source.includes(LITERAL) ? this.#encodeMixed(source) : this.#words.encode(source);
    return addSpecialTokens ? [...this.#prefix, ...ids, ...this.#suffix] : ids;
  }

  /** The text of token ids. Ids that are half a character give U+FFFD. */
  decode(
    ids: readonly number[],
    { skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {},
  ): string {
    if (ids.length === 0) return "";
    return this.#encoder.decode([...ids], {
      skip_special_tokens: skipSpecialTokens,
      clean_up_tokenization_spaces: false,
    });
  }

  /** Whether an id is that of a special token, such as `<|im_end|>`. */
  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** SHA-256 of the files that it was read from, in hex. */
  fingerprint(): string {
    if (this.#fingerprint === null) {
      const hash = new Sha256(), { uri: _, ...content } = this.#files;
      hash.update(new TextEncoder().encode(JSON.stringify(content)));
      this.#fingerprint = hash.digest();
    }
    return this.#fingerprint;
  }

  /**
   * The same text, in which nothing becomes a special token when it is encoded, alone or inside a longer text.
   * Adds invisible code points, which `encode()` drops again and `visible()` removes.
   */
  literal(text: string): string {
    return this.#specialText ? text.replace(this.#specialText, (found) => afterFirst(found, LITERAL)) : text;
  }

  /** A text without what `literal()` added to it. */
  visible(text: string): string {
    return text.replaceAll(LITERAL, "");
  }

  /** End of the last special token in a text, in UTF-16 units; −1 if it holds none. */
  endOfLastSpecialToken(text: string): number {
    const last = this.#specialText ? [...text.matchAll(this.#specialText)].at(-1) : undefined;
    return last ? last.index + last[0].length : -1;
  }

  /**
   * Encodes text in which some special-token text is literal: an encoder whose special tokens are spelled with a
   * mark before them sees a text whose true special tokens carry that mark. All else, such as what depends on a
   * piece's place in the text, works as ever.
   */
  #encodeMixed(text: string): number[] {
    const marked = text.replaceAll(MARK, "").replace(this.#specialText!, (found) => MARK + found);
    this.#markedWords ??= this.#newMarkedWords();
    return this.#markedWords.encode(marked.replaceAll(LITERAL, ""));
  }

  #newMarkedWords(): WordEncoder {
    const { uri, tokenizer, config, addedTokens } = this.#files;
    const spelled = addedTokens.map((token) =>
      token.special ? { ...token, content: MARK + token.content } : token
    );
    const marked = { ...tokenizer, added_tokens: spelled };
    return new WordEncoder(newEncoder(uri, marked, config), marked, config);
  }

  #surroundings(): [number[], number[]] {
    const bare = this.#words.encode("a");
    const whole = this.#encoder.encode("a", { add_special_tokens: true }).ids;
    const at = whole.findIndex((_, i) => bare.every((id, j) => whole[i + j] === id));
    let prefix = whole.slice(0, Math.max(at, 0));
    let suffix = at === -1 ? [] : whole.slice(at + bare.length);
    const { add_bos_token: addBos, add_eos_token: addEos } = this.#files.config;
    if (addBos === false) prefix = prefix.filter((id) => id !== this.bosTokenId);
    if (addEos === false) suffix = suffix.filter((id) => id !== this.eosTokenId);
    if (addBos === true && this.bosTokenId !== null && prefix.length === 0) prefix = [this.bosTokenId];
    if (addEos === true && this.eosTokenId !== null && suffix.length === 0) suffix = [this.eosTokenId];
    return [prefix, suffix];
  }

  #idOf(field: string, token: string | null): number | null {
    if (token === null) return null;
    const id = this.#encoder.token_to_id(token);
    if (id !== undefined) return id;
    throw new ModelFormatError(
      `Cannot use the tokenizer in "${this.#files.uri}" as its ${field} ${
        JSON.stringify(token)
      } is not in the ` +
        `vocabulary: correct ${field} in tokenizer_config.json`,
    );
  }
}

function newEncoder(uri: string, tokenizer: object, config: object): Encoder {
  try {
    return new Encoder(tokenizer, config);
  } catch (error) {
    throw new ModelFormatError(
      `Cannot use "${uri}/tokenizer.json" as a tokenizer: ${
        (error as Error).message
      }; fetch the model's files again`,
      { cause: error },
    );
  }
}

function afterFirst(text: string, inserted: string): string {
  const [first = ""] = text;
  return first + inserted + text.slice(first.length);
}
