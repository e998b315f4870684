import assert from "node:assert/strict";
import { ChatTemplate } from "../../src/data/chat_template.ts";
import type { Message } from "../../src/data/formats.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { ModelFormatError, StorageNotFoundError } from "../../src/errors.ts";
import { readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { chatFiles, chatTokenizer } from "../helpers/tiny_tokenizer.ts";

const shared = new LocalFolder(new URL("../../../shared", import.meta.url).pathname);
const golden = shared.folder("golden");
const stories = shared.folder("models/stories260K-hf");
const smollm2Path = Deno.env.get("LOWRANK_SMOLLM2_DIR");
const haveSmollm2 = smollm2Path !== undefined && await golden.exists("tokenizer-golden.json");
const haveStories = await stories.exists("tokenizer.json");

Deno.test("Tokenizer.load() reads special tokens from every place they are written", async () => {
  const { "tokenizer_config.json": _, ...files } = chatFiles();
  const map = { bos_token: "<s>", eos_token: { content: "</s>", special: true } };
  const tokenizer = await Tokenizer.load(
    new MemoryFolder("m", {
      ...files,
      "special_tokens_map.json": JSON.stringify(map),
      "chat_template.jinja": "T",
    }),
  );
  assert.deepEqual([tokenizer.bosToken, tokenizer.eosToken, tokenizer.padToken], ["<s>", "</s>", "</s>"]);
  assert.equal(tokenizer.padTokenId, tokenizer.eosTokenId);
  assert.equal(tokenizer.chatTemplate, "T");
});

Deno.test("Tokenizer.load() prefers the template's own file, then the one named default", async () => {
  const templates = [{ name: "tool_use", template: "A" }, { name: "default", template: "B" }];
  assert.equal((await chatTokenizer({ chat_template: templates })).chatTemplate, "B");
  assert.equal((await chatTokenizer({ chat_template: templates.slice(0, 1) })).chatTemplate, "A");
  assert.equal((await chatTokenizer({ chat_template: null })).chatTemplate, null);
  const both = new MemoryFolder("m", { ...chatFiles(), "chat_template.jinja": "own file" });
  assert.equal((await Tokenizer.load(both)).chatTemplate, "own file");
});

Deno.test("Tokenizer.load() says what is missing or damaged", async () => {
  const failing = async (files: Record<string, string>, type: unknown, message: RegExp) => {
    await assert.rejects(Tokenizer.load(new MemoryFolder("m", files)), (error: Error) => {
      assert.equal(error.constructor, type);
      assert.match(error.message, message);
      return true;
    });
  };
  const good = chatFiles();
  await failing({}, StorageNotFoundError, /from "m" as tokenizer\.json is not there \(found no files\)/);
  await failing({ "tokenizer.model": "" }, StorageNotFoundError, /convert tokenizer\.model in Python/);
  await failing(
    { "tokenizer.json": '{"model": {' },
    ModelFormatError,
    /Cannot read "m\/tokenizer\.json" as JSON/,
  );
  await failing({ "tokenizer.json": "[]" }, ModelFormatError, /is not a JSON object/);
  await failing({ "tokenizer.json": "{}" }, ModelFormatError, /lacks a "model"/);
  await failing(
    { "tokenizer.json": '{"model":{"type":"Nope"}}' },
    ModelFormatError,
    /Cannot use "m\/tokenizer\.json" as a tokenizer/,
  );
  await failing(
    { ...good, "tokenizer_config.json": '{"eos_token":"<|stop|>"}' },
    ModelFormatError,
    /its eos_token "<\|stop\|>" is not in the vocabulary/,
  );
});

Deno.test("encode() puts BOS and EOS by the tokenizer's own rule, which the configuration overrules", async () => {
  const ids = async (config: Record<string, unknown>) => {
    const tokenizer = await chatTokenizer(config);
    return tokenizer.encode("a", { addSpecialTokens: true }).map((id) => tokenizer.decode([id])).join("");
  };
  assert.equal(await ids({}), "a");
  assert.equal(await ids({ add_bos_token: true }), "<s>a");
  assert.equal(await ids({ add_bos_token: true, add_eos_token: true }), "<s>a</s>");
});

Deno.test("encode() keeps special-token text as text where that is asked for", async () => {
  const tokenizer = await chatTokenizer();
  const text = "a<|end|>b</s>é🙂";
  const special = tokenizer.encode(text);
  const literal = tokenizer.encode(text, { allowSpecialTokens: false });
  const end = tokenizer.encode("<|end|>");
  assert.equal(end.length, 1);
  assert.ok(special.includes(end[0]!) && special.includes(tokenizer.eosTokenId!));
  assert.ok(!literal.includes(end[0]!) && !literal.includes(tokenizer.eosTokenId!));
  assert.equal(tokenizer.decode(literal), text);
  assert.equal(tokenizer.decode(special), text);
  assert.equal(tokenizer.decode(special, { skipSpecialTokens: true }), "abé🙂");
});

Deno.test("encode() tells literal and true special tokens of one text apart", async () => {
  const tokenizer = await chatTokenizer();
  const end = tokenizer.encode("<|end|>")[0]!;
  const mixed = tokenizer.encode(tokenizer.literal("say <|end|>") + "<|end|>");
  assert.equal(mixed.filter((id) => id === end).length, 1);
  assert.equal(mixed.at(-1), end);
  assert.deepEqual(mixed.slice(0, -1), tokenizer.encode("say <|end|>", { allowSpecialTokens: false }));
  // Code points that are used to tell them apart give no way in.
  for (const trick of ["\uFDD1<|end|>", "<\uFDD0|end|>", "\uFDD1\uFDD1<|end|>"]) {
    assert.ok(
      !tokenizer.encode(trick + "</s>", { allowSpecialTokens: false }).includes(end),
      JSON.stringify(trick),
    );
  }
  assert.equal(tokenizer.visible(tokenizer.literal("x<|end|>y")), "x<|end|>y");
});

Deno.test("endOfLastSpecialToken() sees true special tokens only", async () => {
  const tokenizer = await chatTokenizer();
  assert.equal(tokenizer.endOfLastSpecialToken("<s>a<|end|>\n"), 11);
  assert.equal(tokenizer.endOfLastSpecialToken(tokenizer.literal("a<|end|>")), -1);
});

Deno.test("Tokenizer counts ids by the largest one", async () => {
  const tokenizer = await chatTokenizer();
  assert.equal(tokenizer.vocabSize, 261);
  assert.deepEqual(tokenizer.encode(""), []);
  assert.equal(tokenizer.decode([]), "");
});

Deno.test({
  name: "Tokenizer gives SmolLM2's golden ids and texts (needs shared data and LOWRANK_SMOLLM2_DIR)",
  ignore: !haveSmollm2,
  async fn() {
    const { texts, chats } = JSON.parse(await readText(golden, "tokenizer-golden.json"));
    const tokenizer = await Tokenizer.load(new LocalFolder(smollm2Path!));
    assert.deepEqual([tokenizer.vocabSize, tokenizer.eosTokenId, tokenizer.padTokenId], [49152, 2, 2]);
    assert.ok(texts.length >= 26 && chats.length >= 4);
    for (const { text, ids, decoded } of texts as { text: string; ids: number[]; decoded: string }[]) {
      assert.deepEqual(tokenizer.encode(text), ids, text);
      assert.deepEqual(tokenizer.encode(text, { addSpecialTokens: true }), ids, text);
      assert.equal(tokenizer.decode(ids), decoded);
      assert.equal(tokenizer.decode(tokenizer.encode(text, { allowSpecialTokens: false })), decoded);
    }
    const template = new ChatTemplate(tokenizer.chatTemplate!, tokenizer);
    for (
      const chat of chats as {
        messages: Message[];
        add_generation_prompt: boolean;
        text: string;
        ids: number[];
      }[]
    ) {
      const text = template.render(chat.messages, chat.add_generation_prompt);
      assert.equal(text, chat.text);
      assert.deepEqual(tokenizer.encode(text), chat.ids);
    }
  },
});

Deno.test({
  name: "Tokenizer gives stories260K's golden ids, with its BOS (needs shared data)",
  ignore: !haveStories,
  async fn() {
    const { tokenize } = JSON.parse(await readText(stories, "golden.json"));
    const tokenizer = await Tokenizer.load(stories);
    assert.ok(tokenize.length >= 4);
    for (const { text, ids } of tokenize as { text: string; ids: number[] }[]) {
      assert.deepEqual(tokenizer.encode(text, { addSpecialTokens: true }), ids);
      assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), text);
    }
  },
});
