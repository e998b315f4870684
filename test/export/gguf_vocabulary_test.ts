import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { GgufEntry } from "../../src/checkpoint/gguf_writer.ts";
import { ggufVocabulary } from "../../src/export/gguf_vocabulary.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { chatFiles } from "../helpers/tiny_tokenizer.ts";

const modelOf = (vocabSize: number, eosTokenIds: number[] = []) =>
  ({ vocabSize, eosTokenIds, padTokenId: null }) as unknown as ModelConfig;

const valuesOf = (entries: ReadonlyMap<string, GgufEntry>) => (key: string) =>
  entries.get(`tokenizer.ggml.${key}`)?.value as never;

/** The tiny tokenizer with a part of tokenizer.json changed. */
function changed(change: (json: Record<string, unknown>) => void): MemoryFolder {
  const files = chatFiles(), json = JSON.parse(files["tokenizer.json"]!);
  change(json);
  return new MemoryFolder("tiny", { ...files, "tokenizer.json": JSON.stringify(json) });
}

Deno.test("ggufVocabulary() gives a row of the embedding each a token, with its kind", async () => {
  const folder = changed((json) => {
    (json.added_tokens as object[]).push({ id: 262, content: "<note>", special: false, normalized: false });
  });
  const { entries, stops, addsBos } = await ggufVocabulary(folder, modelOf(264), null),
    value = valuesOf(entries);
  const tokens = value("tokens") as string[], kinds = value("token_type") as number[];
  assert.equal(tokens.length, 264);
  assert.deepEqual([tokens[10], tokens[257], tokens[261], tokens[262], tokens[263]], [
    "Ċ",
    "<s>",
    "[PAD261]",
    "<note>",
    "[PAD263]",
  ]);
  assert.deepEqual([10, 257, 261, 262, 263].map((id) => kinds[id]), [1, 3, 5, 4, 5]);
  assert.deepEqual(value("merges"), ["Ċ Ċ"]);
  assert.deepEqual([value("bos_token_id"), value("eos_token_id"), value("eot_token_id")], [257, 258, 260]);
  assert.deepEqual(stops, ["</s>", "<|end|>"]);
  assert.equal(addsBos, false);
});

Deno.test("ggufVocabulary() says whether BOS is put in front, by what the tokenizer does", async () => {
  const folder = new MemoryFolder("tiny", chatFiles({ add_bos_token: true, unk_token: "<s>" }));
  const { entries, addsBos } = await ggufVocabulary(folder, modelOf(261), null);
  assert.equal(addsBos, true);
  const value = valuesOf(entries);
  assert.equal(value("add_bos_token"), true);
  // bytes are never unknown: a token of that name is one of the special ones
  assert.deepEqual([value("unknown_token_id"), (value("token_type") as number[])[257]], [257, 3]);
});

Deno.test("ggufVocabulary() leaves out a token beyond the embedding, and refuses a word beyond it", async () => {
  const folder = new MemoryFolder("tiny", chatFiles());
  const { entries } = await ggufVocabulary(folder, modelOf(260), null), value = valuesOf(entries);
  assert.equal((value("tokens") as string[]).at(-1), "<|start|>");
  assert.equal(value("eot_token_id"), undefined);
  await assert.rejects(ggufVocabulary(folder, modelOf(256), null), {
    name: "ModelFormatError",
    message: /token "ĊĊ" has id 256, the embedding has 256 rows/,
  });
});

Deno.test("ggufVocabulary() takes another chat template where one is given", async () => {
  const folder = new MemoryFolder("tiny", chatFiles());
  const own = await ggufVocabulary(folder, modelOf(261), null);
  const other = await ggufVocabulary(folder, modelOf(261), "{{ messages[0]['content'] }}");
  const template = (entries: ReadonlyMap<string, GgufEntry>) => entries.get("tokenizer.chat_template")?.value;
  assert.equal(template(own.entries), own.tokenizer.chatTemplate);
  assert.equal(template(other.entries), "{{ messages[0]['content'] }}");
});

Deno.test("ggufVocabulary() finds the way to cut that gives the same ids, and refuses where none does", async () => {
  /** Pairs that only a way that leaves digits together joins. */
  const pairs = (json: Record<string, unknown>) => {
    const model = json.model as { vocab: Record<string, number>; merges: string[][] };
    model.vocab["12"] = 256;
    delete model.vocab["ĊĊ"];
    model.merges = [["1", "2"]];
  };
  const preOf = async (folder: MemoryFolder) =>
    valuesOf((await ggufVocabulary(folder, modelOf(261), null)).entries)("pre") as string;
  assert.equal(await preOf(changed(pairs)), "gpt-2");
  const digits = { type: "Digits", individual_digits: true };
  const single = changed((json) => {
    pairs(json);
    json.pre_tokenizer = { type: "Sequence", pretokenizers: [digits, json.pre_tokenizer] };
  });
  assert.equal(await preOf(single), "smollm");
  const shouting = changed((json) => json.normalizer = { type: "Lowercase" });
  await assert.rejects(preOf(shouting), {
    name: "UnsupportedModelError",
    message:
      /none of llama.cpp's ways to cut text that are known here \(gpt-2, smollm, .*\) gives its ids for "Hello/,
  });
  const words = changed((json) => (json.model as { type: string }).type = "WordPiece");
  await assert.rejects(preOf(words), /it is WordPiece, and byte-level BPE/);
});

Deno.test("ggufVocabulary() leaves runs of spaces to the merges, and takes other words of SentencePiece's whole", async () => {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, "▁", "a", "▁▁", "▁a", "<a▁b>"];
  const added = (content: string, special: boolean) => {
    return { id: tokens.indexOf(content), content, special, normalized: false };
  };
  const folder = new MemoryFolder("spm", {
    "tokenizer.json": JSON.stringify({
      added_tokens: [added("<unk>", true), added("<s>", true), added("▁▁", false), added("<a▁b>", false)],
      normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
      pre_tokenizer: null,
      post_processor: null,
      decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] },
      model: {
        type: "BPE",
        unk_token: "<unk>",
        fuse_unk: true,
        byte_fallback: true,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: [["▁", "a"], ["▁", "▁"]],
      },
    }),
    "tokenizer_config.json": JSON.stringify({ unk_token: "<unk>", bos_token: "<s>" }),
  });
  const value = valuesOf((await ggufVocabulary(folder, modelOf(tokens.length), null)).entries);
  const kinds = value("token_type") as number[], scores = value("scores") as number[], at = tokens.length - 3;
  assert.deepEqual([...kinds].slice(at), [1, 1, 4]);
  assert.deepEqual((value("tokens") as string[]).slice(at), ["▁▁", "▁a", "<a b>"]);
  assert.deepEqual([...scores].slice(at), [-1, 0, -1000]);
  assert.equal(value("add_space_prefix"), false);
  assert.equal(kinds[0], 2);
});

const STORIES = new URL("../../../shared/models/stories260K-hf", import.meta.url).pathname;
const hasStories = existsSync(STORIES);

Deno.test({
  name: `ggufVocabulary() makes scores of merges that join alike${hasStories ? "" : " (needs shared data)"}`,
  ignore: !hasStories,
  fn: async () => {
    const { entries, addsBos } = await ggufVocabulary(new LocalFolder(STORIES), modelOf(512, [2]), null);
    const value = valuesOf(entries), tokens = value("tokens") as string[];
    const scores = value("scores") as number[], kinds = value("token_type") as number[];
    const score = (token: string) => scores[tokens.indexOf(token)]!;
    assert.equal(value("model"), "llama");
    assert.ok(score("▁t") > score("he") && score("he") > score("▁a"));
    assert.deepEqual([kinds[0], kinds[1], kinds[3], kinds[300]], [2, 3, 6, 1]);
    assert.deepEqual([addsBos, value("add_space_prefix"), value("bos_token_id")], [true, true, 1]);
  },
});
