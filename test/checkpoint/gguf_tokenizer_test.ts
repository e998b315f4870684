import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { PRE_TOKENIZERS } from "../../src/checkpoint/gguf_pre_tokenizers.ts";
import { ggufTokenizer } from "../../src/checkpoint/gguf_tokenizer.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { readText } from "../../src/storage.ts";
import { bool, f32s, ggufBytes, type GgufEntry, i32s, text, texts, u32 } from "../helpers/gguf_file.ts";

/** The tokenizer of a file with these entries below `tokenizer.ggml`. */
async function tokenizerOf(entries: Readonly<Record<string, GgufEntry>>): Promise<Tokenizer> {
  const bytes = ggufBytes({
    entries: [
      ["general.architecture", text("llama")],
      ...Object.entries(entries).map(([key, entry]) => [`tokenizer.ggml.${key}`, entry] as const),
    ],
  });
  const { tokenizer, config } = ggufTokenizer(await GgufFile.open(new MemoryFolder("m", { w: bytes }), "w"));
  return await Tokenizer.load(
    new MemoryFolder("t", {
      "tokenizer.json": JSON.stringify(tokenizer),
      "tokenizer_config.json": JSON.stringify(config),
    }),
  );
}

const BYTES = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);

/** A SentencePiece vocabulary: `<unk>`, `<s>`, `</s>`, 256 bytes, then words, the best scored last, then single letters. */
function sentencePiece(words: readonly string[], more: Readonly<Record<string, GgufEntry>> = {}) {
  const letters = [..."▁abcd"],
    tokens = ["<unk>", "<s>", "</s>", ...BYTES, ...[...words].reverse(), ...letters];
  const first = 3 + BYTES.length;
  const score = (id: number) => id < first ? 0 : id < first + words.length ? id - first - words.length : -1e6;
  const kind = (id: number) => id === 0 ? 2 : id < 3 ? 3 : id < first ? 6 : 1;
  return {
    idOf: (token: string) => tokens.indexOf(token),
    entries: {
      model: text("llama"),
      tokens: texts(tokens),
      scores: f32s(tokens.map((_, id) => score(id))),
      token_type: i32s(tokens.map((_, id) => kind(id))),
      bos_token_id: u32(1),
      eos_token_id: u32(2),
      unknown_token_id: u32(0),
      ...more,
    },
  };
}

Deno.test("ggufTokenizer() joins by score, whatever the order of the vocabulary, and falls back to bytes", async () => {
  const { entries, idOf } = sentencePiece(["bc", "ab", "▁ab", "cd", "abcd"]);
  const tokenizer = await tokenizerOf(entries);
  const check = (value: string, ...tokens: string[]) =>
    assert.deepEqual(tokenizer.encode(value), tokens.map(idOf), value);
  check("abc", "▁", "a", "bc"); // bc scores best, then a has nothing to join
  check("ab", "▁ab");
  check("ab ab", "▁ab", "▁ab");
  check("cd", "▁", "cd");
  check("é", "▁", "<0xC3>", "<0xA9>");
  assert.deepEqual(tokenizer.encode("ab", { addSpecialTokens: true }), [1, idOf("▁ab")]);
  for (const value of ["ab cd", "é\u{1f600}", "a  b"]) {
    assert.equal(tokenizer.decode(tokenizer.encode(value)), value);
  }
});

Deno.test("ggufTokenizer() puts no space before a text, nor BOS, where the file says so", async () => {
  const { entries, idOf } = sentencePiece(["ab"], {
    add_space_prefix: bool(false),
    add_bos_token: bool(false),
    add_eos_token: bool(true),
  });
  const tokenizer = await tokenizerOf(entries);
  assert.deepEqual(tokenizer.encode("ab", { addSpecialTokens: true }), [idOf("ab"), 2]);
  assert.equal(tokenizer.decode(tokenizer.encode("ab cd")), "ab cd");
});

Deno.test("ggufTokenizer() takes user-defined tokens whole, and special ones as special", async () => {
  const { entries, idOf } = sentencePiece(["abcd"]);
  const id = idOf("abcd"), kinds = [...(entries.token_type.value as readonly number[])];
  kinds[id] = 4;
  const tokenizer = await tokenizerOf({ ...entries, token_type: i32s(kinds) });
  assert.ok(tokenizer.encode("aabcda").includes(id));
  assert.equal(tokenizer.decode([id, 2], { skipSpecialTokens: true }).trim(), "abcd");
});

Deno.test("PRE_TOKENIZERS cut text as their models do", async () => {
  const cutsOf = async (pre: string, value: string) => {
    const alphabet = Array.from({ length: 256 }, (_, byte) => {
      const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
      return printable ? String.fromCharCode(byte) : null;
    });
    let next = 256;
    const letters = alphabet.map((letter) => letter ?? String.fromCharCode(next++));
    // every pair and triple of some characters merges, so that only cuts part them
    const merges: string[] = [], tokens = [...letters];
    const join = (left: string, right: string) => {
      if (tokens.includes(left + right)) return;
      merges.push(`${left} ${right}`);
      tokens.push(left + right);
    };
    const used = [...new Set(new TextEncoder().encode(value))].map((byte) => letters[byte]!);
    for (const a of used) for (const b of used) join(a, b);
    for (const a of used) for (const b of used) for (const c of used) join(a + b, c);
    const tokenizer = await tokenizerOf({
      model: text("gpt2"),
      pre: text(pre),
      tokens: texts(tokens),
      merges: texts(merges),
    });
    return tokenizer.encode(value).map((id) => tokenizer.decode([id]));
  };
  assert.deepEqual(await cutsOf("gpt-2", "a12 3"), ["a", "12", " 3"]);
  assert.deepEqual(await cutsOf("smollm", "a12 3"), ["a", "1", "2", " ", "3"]);
  assert.deepEqual(await cutsOf("llama-bpe", "1212"), ["121", "2"]);
  assert.deepEqual(await cutsOf("qwen2", "a12"), ["a", "1", "2"]);
  assert.deepEqual(await cutsOf("gpt-4o", "aBa"), ["a", "Ba"]);
  assert.deepEqual(await cutsOf("tekken", "aB12"), ["a", "B", "1", "2"]);
  for (const pre of PRE_TOKENIZERS.keys()) assert.equal((await cutsOf(pre, "a 'S\n")).join(""), "a 'S\n");
});

const stories = new URL("../../../shared/models/stories260K-hf", import.meta.url).pathname;

Deno.test({
  name: "ggufTokenizer() gives a SentencePiece model's ids (needs shared data)",
  ignore: !existsSync(stories),
  fn: async () => {
    const folder = new LocalFolder(stories), original = await Tokenizer.load(folder);
    const { model } = JSON.parse(await readText(folder, "tokenizer.json"));
    const tokens = Object.entries(model.vocab as Record<string, number>).sort(([, a], [, b]) => a - b).map((
      [token],
    ) => token);
    const rank = new Map<string, number>();
    for (const [i, merge] of (model.merges as string[]).entries()) {
      const joined = merge.replace(" ", "");
      if (!rank.has(joined)) rank.set(joined, i);
    }
    const tokenizer = await tokenizerOf({
      model: text("llama"),
      tokens: texts(tokens),
      scores: f32s(tokens.map((token) => -(rank.get(token) ?? 1e6))),
      token_type: i32s(tokens.map((_, id) => id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1)),
      bos_token_id: u32(1),
      eos_token_id: u32(2),
      unknown_token_id: u32(0),
    });
    const { tokenize } = JSON.parse(await readText(folder, "golden.json"));
    for (const { text: value, ids } of tokenize) {
      assert.deepEqual(tokenizer.encode(value, { addSpecialTokens: true }), ids);
    }
    for (const value of ["  two  spaces\n\ttab", "Größe 12½ \u{1f600}", "", "</s>x<s>", "LilyLilyLily's"]) {
      assert.deepEqual(tokenizer.encode(value), original.encode(value), value);
      assert.equal(tokenizer.decode(tokenizer.encode(value)), original.decode(original.encode(value)));
    }
  },
});
