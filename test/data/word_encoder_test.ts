import assert from "node:assert/strict";
import { Tokenizer as Encoder } from "@huggingface/tokenizers";
import { WordEncoder } from "../../src/data/word_encoder.ts";
import { chatFiles } from "../helpers/tiny_tokenizer.ts";

type Json = Record<string, unknown>;

const BYTES = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
const splitAt = (Regex: string) => ({
  type: "Split",
  pattern: { Regex },
  behavior: "Isolated",
  invert: false,
});
const sequence = (...pretokenizers: unknown[]) => ({ type: "Sequence", pretokenizers });
/** Of Llama 3 and, with one digit at a time, of Qwen 2. */
const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
  "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** A tokenizer that merges some pairs of letters, digits and spaces. */
function tokenizerJson(changes: Json): Json {
  const tokenizer = JSON.parse(chatFiles()["tokenizer.json"]!);
  const merges = ["l a", "la m", "Ġ t", "Ġt h", "e r", "1 2", "Ġ Ġ", "' s", "! !", "Ċ Ċ", "Ã ©"].map((pair) =>
    pair.split(" ")
  );
  const tokens = [...Object.keys(tokenizer.model.vocab), ...merges.map((pair) => pair.join(""))];
  const vocab = Object.fromEntries([...new Set(tokens)].map((token, i) => [token, i < 257 ? i : i + 4]));
  return { ...tokenizer, model: { ...tokenizer.model, vocab, merges }, ...changes };
}

const added = (flags: Json) =>
  ["<s>", "</s>", "<|start|>", "<|end|>"].map((content, i) => ({
    id: 257 + i,
    content,
    special: true,
    ...flags,
  }));

const KINDS: Record<string, Json> = {
  "GPT-2's rule": tokenizerJson({}),
  "digits apart": tokenizerJson({
    pre_tokenizer: sequence(splitAt("\\p{N}"), { ...BYTES, use_regex: true }),
  }),
  "digits together": tokenizerJson({
    pre_tokenizer: sequence(splitAt("\\p{N}+"), { ...BYTES, use_regex: true }),
  }),
  "Llama 3's rule": tokenizerJson({
    pre_tokenizer: sequence(splitAt(LLAMA3), { ...BYTES, use_regex: false }),
  }),
  "NFC first": tokenizerJson({
    normalizer: { type: "NFC" },
    pre_tokenizer: sequence(splitAt(LLAMA3), { ...BYTES, use_regex: false }),
  }),
  "no rule": tokenizerJson({ pre_tokenizer: { ...BYTES, use_regex: false } }),
  "no rule and no merges": tokenizerJson({
    pre_tokenizer: { ...BYTES, use_regex: false },
    model: { ...(tokenizerJson({}).model as Json), merges: [] },
  }),
  "a space before each text": tokenizerJson({ pre_tokenizer: { ...BYTES, add_prefix_space: true } }),
  "tokens that take spaces along": tokenizerJson({ added_tokens: added({ lstrip: true, rstrip: true }) }),
  "no added tokens": tokenizerJson({ added_tokens: [] }),
};

const PIECES = [
  "the lamp",
  " the",
  "  ",
  "   ",
  " ",
  "\n",
  "\n\n",
  "\r\n",
  "\t",
  "\u00a0",
  "\ufeff",
  "\u0085",
  "\u2028",
  "'s",
  "'S",
  "'ll",
  "12",
  "1234",
  "Ⅷ½²",
  "é",
  "e\u0301",
  "日本",
  "👩‍🚀",
  "\ud83d",
  "!!",
  "!?\n",
  "...",
  "<|end|>",
  "<|end|",
  "<s>",
  " <s> ",
  "</s>",
  "_x",
  "__proto__",
  "constructor",
  "A",
  "\u0000",
  "$&",
  "\\n",
];

/** Texts of pieces, drawn by a fixed seed. */
function* texts(count: number): Generator<string> {
  let state = 1;
  const next = (below: number) => (state = Math.imul(state, 48271) >>> 0, (state >>> 8) % below);
  for (let i = 0; i < count; i++) {
    yield Array.from({ length: 1 + next(12) }, () => PIECES[next(PIECES.length)]).join("");
  }
}

for (const [kind, tokenizer] of Object.entries(KINDS)) {
  Deno.test(`WordEncoder gives the ids of whole texts: ${kind}`, () => {
    const whole = new Encoder(tokenizer, {}),
      words = new WordEncoder(new Encoder(tokenizer, {}), tokenizer, {});
    for (const text of ["", ...PIECES, ...texts(3000)]) {
      const { ids } = whole.encode(text, { add_special_tokens: false });
      assert.deepEqual(words.encode(text), ids, JSON.stringify(text));
    }
  });
}

Deno.test("WordEncoder encodes a word once, however often it comes", () => {
  const tokenizer = KINDS["GPT-2's rule"]!,
    encoder = new Encoder(tokenizer, {}),
    encode = encoder.encode.bind(encoder);
  let encoded = 0;
  encoder.encode = ((...given: Parameters<typeof encode>) => {
    encoded++;
    return encode(...given);
  }) as typeof encoder.encode;
  const words = new WordEncoder(encoder, tokenizer, {}), ids = words.encode("the lamp the lamp the lamp");
  assert.equal(ids.length, 16);
  assert.equal(encoded, 3); // "the", " lamp", " the"
});
