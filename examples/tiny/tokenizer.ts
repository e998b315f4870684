/**
 * The tiny model's tokenizer: one token a byte, so that any text can be written, and five special tokens.
 *
 * @module
 */

/** Special tokens from id 256 on. */
export const SPECIAL_TOKENS = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"] as const;

/** Embedding rows: bytes and special tokens, rounded up to a multiple of 8. */
export const VOCABULARY = 264;

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/** The printable stand-ins of the 256 bytes that byte-level tokenizers write, as GPT-2 numbers them. */
function byteAlphabet(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

/** tokenizer.json and tokenizer_config.json as Hugging Face reads them. */
export function tokenizerFiles(): Readonly<Record<string, string>> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    "tokenizer.json": json({
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: SPECIAL_TOKENS.map((content, i) => ({ id: 256 + i, content, ...special })),
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      post_processor: null,
      decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(byteAlphabet().map((token, id) => [token, id])),
        merges: [],
      },
    }),
    "tokenizer_config.json": json({
      tokenizer_class: "PreTrainedTokenizerFast",
      model_max_length: 256,
      pad_token: "<|pad|>",
      eos_token: "<|end|>",
      chat_template: CHAT_TEMPLATE,
    }),
  };
}
