import { Tokenizer } from "../../src/data/tokenizer.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

/** A chat template in the manner of ChatML. */
export const CHAT_TEMPLATE =
  "{% for m in messages %}{{ '<|start|>' + m['role'] + '\n' + m['content'] + '<|end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}";

/** The printable stand-ins of the 256 bytes in byte-level BPE, as GPT-2 numbers them. */
function byteAlphabet(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

/**
 * A byte-level tokenizer: ids 0..255 are the bytes, 256 merges two line feeds, 257..260 are the special tokens
 * `<s>`, `</s>`, `<|start|>`, `<|end|>`.
 */
export function chatFiles(config: Record<string, unknown> = {}): Record<string, string> {
  const alphabet = byteAlphabet();
  const lineFeed = alphabet[10]!;
  const vocab = Object.fromEntries([...alphabet, lineFeed + lineFeed].map((token, id) => [token, id]));
  const special = ["<s>", "</s>", "<|start|>", "<|end|>"].map((content, i) => ({
    id: 257 + i,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  return {
    "tokenizer.json": JSON.stringify({
      added_tokens: special,
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: null,
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab, merges: [[lineFeed, lineFeed]], unk_token: null },
    }),
    "tokenizer_config.json": JSON.stringify({
      bos_token: "<s>",
      eos_token: "</s>",
      chat_template: CHAT_TEMPLATE,
      ...config,
    }),
  };
}

/** The tokenizer of `chatFiles()`. */
export function chatTokenizer(config: Record<string, unknown> = {}): Promise<Tokenizer> {
  return Tokenizer.load(new MemoryFolder("tiny", chatFiles(config)));
}
