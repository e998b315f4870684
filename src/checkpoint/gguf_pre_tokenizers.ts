/**
 * How a byte-level vocabulary's text is cut before merging, by the name that llama.cpp gives each way
 * (`tokenizer.ggml.pre`). The parts are spelled as in tokenizer.json.
 *
 * @module
 */

/** What stands before the merges of a tokenizer. */
export interface PreTokenizer {
  readonly normalizer: object | null;
  readonly preTokenizer: object;
  /** Whether a piece that is a token stays one, even where merges would give others. */
  readonly ignoreMerges: boolean;
  /** Whether a text begins with BOS where the file does not say. */
  readonly addsBos: boolean;
}

const byteLevel = (useRegex: boolean) => {
  return { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: useRegex };
};

const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });

const split = (regex: string) =>
  sequence(
    { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
    byteLevel(false),
  );

const PLAIN = { normalizer: null, ignoreMerges: false, addsBos: false };

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const WORD = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const LINES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const UPPER = "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}", LOWER = "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}";

/** Words of GPT-4 and its kin: digits by up to `most`, then signs, then line ends. */
const words = (most: number) =>
  `${CONTRACTIONS}|${WORD}|\\p{N}${most > 1 ? `{1,${most}}` : ""}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${LINES}`;

/** As `words`, but cut where a capital follows a small letter. */
const casedWords = (most: number, ending: string) =>
  [
    `[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]*[${LOWER}]+${ending}`,
    `[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]+[${LOWER}]*${ending}`,
    `\\p{N}${most > 1 ? `{1,${most}}` : ""}`,
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*",
    LINES,
  ].join("|");

const gpt2: PreTokenizer = { ...PLAIN, preTokenizer: byteLevel(true) };
/** Every digit on its own, then as GPT-2. */
const smollm: PreTokenizer = {
  ...PLAIN,
  preTokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)),
};
const llama3: PreTokenizer = { ...PLAIN, preTokenizer: split(words(3)), ignoreMerges: true, addsBos: true };
const qwen2: PreTokenizer = { ...PLAIN, normalizer: { type: "NFC" }, preTokenizer: split(words(1)) };
const gpt4: PreTokenizer = { ...PLAIN, preTokenizer: split(words(3)) };
const gpt4o: PreTokenizer = { ...PLAIN, preTokenizer: split(casedWords(3, `${CONTRACTIONS}?`)) };
const tekken: PreTokenizer = {
  ...PLAIN,
  preTokenizer: split(casedWords(1, "")),
  ignoreMerges: true,
  addsBos: true,
};

/** By llama.cpp's names. */
export const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map([
  ["gpt-2", gpt2],
  ["smollm", smollm],
  ["llama-bpe", llama3],
  ["llama3", llama3],
  ["llama-v3", llama3],
  ["qwen2", qwen2],
  ["deepseek-r1-qwen", qwen2],
  ["dbrx", gpt4],
  ["smaug-bpe", gpt4],
  ["gpt-4o", gpt4o],
  ["tekken", tekken],
]);
