/**
 * Ids of texts from the ids of their words. A data set says the same words over and over, and merging the letters of one
 * is what takes an encoder its time: each is merged once.
 *
 * @module
 */
import { Tokenizer as Encoder } from "@huggingface/tokenizers";

/** Words whose ids are remembered. */
const MOST_WORDS = 2 ** 16;

/** GPT-2's rule, letter by letter as the encoder's `ByteLevel` has it. */
const GPT2_WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** A rule of `tokenizer.json`. */
type Rule = Readonly<Record<string, unknown>>;
/** Splits a text that holds no added token. */
type Split = (text: string) => readonly string[];

/**
 * An encoder that remembers words. Byte-level BPE alone splits a text into words that are merged apart from each other;
 * texts of other tokenizers are encoded whole, and so are those with a word that would be split anew if it stood alone.
 */
export class WordEncoder {
  readonly #encoder: Encoder;
  /** Splits a text into its words and added tokens as the encoder does; null where it is encoded whole. */
  readonly #split: Split | null;
  readonly #words = new Map<string, readonly number[]>();

  /** @param tokenizer Content of `tokenizer.json`. @param config Of `tokenizer_config.json`. */
  constructor(encoder: Encoder, tokenizer: object, config: object) {
    this.#encoder = encoder;
    this.#split = splitOf(tokenizer as Rule, config as Rule);
  }

  /** Without what the tokenizer puts around a text. */
  encode(text: string): number[] {
    if (!this.#split) return this.#whole(text);
    const ids: number[] = [];
    for (const word of this.#split(text)) {
      const found = this.#words.get(word) ?? this.#learn(word);
      if (!found) return this.#whole(text);
      for (let i = 0; i < found.length; i++) ids.push(found[i]!);
    }
    return ids;
  }

  #whole(text: string): number[] {
    return this.#encoder.encode(text, { add_special_tokens: false }).ids;
  }

  /** Null for a word that is split again if it comes alone. */
  #learn(word: string): readonly number[] | null {
    const [alone, ...more] = this.#split!(word);
    if (alone !== word || more.length > 0) return null;
    const ids = this.#whole(word);
    if (this.#words.size >= MOST_WORDS) this.#words.clear();
    this.#words.set(copied(word), ids);
    return ids;
  }
}

/** The same letters in a string of its own: a piece of a text would keep the whole text in memory. */
function copied(word: string): string {
  return JSON.parse(JSON.stringify(word));
}

/** How a tokenizer splits texts; null for one that does not merge words apart from each other. */
function splitOf(tokenizer: Rule, config: Rule): Split | null {
  const model = (tokenizer.model ?? {}) as Rule,
    rules = rulesOf(tokenizer.pre_tokenizer),
    last = rules.at(-1);
  const isPlain = model.type === "BPE" && !model.dropout && !model.end_of_word_suffix &&
    !model.continuing_subword_suffix && !config.remove_space && !config.do_lowercase_and_remove_accent;
  if (!isPlain || last?.type !== "ByteLevel" || last.add_prefix_space) return null;
  const before = rules.slice(0, -1), splits = last.use_regex !== false;
  const merges = Array.isArray(model.merges) ? model.merges.length : Infinity;
  // where nothing is merged, each character is a word
  const words = splits ? gpt2Words : merges === 0 ? (text: string) => Array.from(text) : null;
  if (!words && before.length === 0) return null;
  const added = (tokenizer.added_tokens ?? []) as readonly Rule[];
  const isSimple = !tokenizer.normalizer && added.every(({ lstrip, rstrip }) => !lstrip && !rstrip);
  const digits = isSimple ? digitSplits(before) : null;
  const sections = digits ? sectionsOf(added, digits) : librarySections(tokenizer, config, before);
  if (!words) return sections;
  const isAdded = new Set(added.map(({ content }) => content as string));
  return (text) => sections(text).flatMap((section) => isAdded.has(section) ? section : words(section));
}

function gpt2Words(text: string): readonly string[] {
  return text.match(GPT2_WORDS) ?? [];
}

/** Rules that do nothing but set digits apart, as one; null if there are others. */
function digitSplits(rules: readonly Rule[]): Split | null {
  const parts: RegExp[] = [];
  for (const { type, pattern, behavior, invert } of rules) {
    const regex = (pattern as Rule | undefined)?.Regex;
    if (type !== "Split" || behavior !== "Isolated" || invert) return null;
    if (regex === "\\p{N}") parts.push(/\p{N}|\P{N}+/gu);
    else if (regex === "\\p{N}+") parts.push(/\p{N}+|\P{N}+/gu);
    else return null;
  }
  return (text) =>
    parts.reduce<readonly string[]>((pieces, part) => pieces.flatMap((piece) => piece.match(part) ?? []), [
      text,
    ]);
}

/** Added tokens, and what `split` makes of the text between them. */
function sectionsOf(added: readonly Rule[], split: Split): Split {
  const contents = added.map(({ content }) => content as string).filter((content) => content !== "");
  if (contents.length === 0) return split;
  const found = new RegExp(`(${anyOf(contents)})`), isAdded = new Set(contents);
  return (text) =>
    text.split(found).flatMap((section) =>
      section === "" ? [] : isAdded.has(section) ? section : split(section)
    );
}

/** The same by the library, whose rules know more: an encoder that merges nothing. */
function librarySections(tokenizer: Rule, config: Rule, rules: readonly Rule[]): Split {
  const pre = rules.length === 0 ? null : { type: "Sequence", pretokenizers: rules };
  const parts = { pre_tokenizer: pre, model: { vocab: {} }, post_processor: null, decoder: null };
  const splitter = new Encoder({ ...tokenizer, ...parts }, config);
  return (text) => splitter.tokenize(text);
}

/** Source of a regular expression that matches any of the words, longer ones first. */
export function anyOf(words: readonly string[]): string {
  const sorted = [...words].sort((a, b) => b.length - a.length);
  return sorted.map((word) => word.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|");
}

function rulesOf(rule: unknown): Rule[] {
  if (typeof rule !== "object" || rule === null) return [];
  const { pretokenizers } = rule as Rule;
  return Array.isArray(pretokenizers) ? pretokenizers.flatMap(rulesOf) : [rule as Rule];
}
