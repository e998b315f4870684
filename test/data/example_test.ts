import assert from "node:assert/strict";
import { ChatTemplate } from "../../src/data/chat_template.ts";
import { cutExample, tokenizeExample, trainedTokens } from "../../src/data/example.ts";
import { IGNORE_INDEX } from "../../src/data/mask.ts";
import { CHAT_TEMPLATE, chatTokenizer } from "../helpers/tiny_tokenizer.ts";

Deno.test("tokenizeExample() trains all of a text, with one BOS by the tokenizer's rule and one EOS", async () => {
  const textOf = async (text: string, config: Record<string, unknown>) => {
    const tokenizer = await chatTokenizer(config);
    const { ids, labels } = tokenizeExample({ kind: "text", text }, { tokenizer, template: null });
    assert.deepEqual(labels, ids);
    return tokenizer.decode(ids);
  };
  assert.equal(await textOf("hi", {}), "hi</s>");
  assert.equal(await textOf("hi</s>", {}), "hi</s>");
  assert.equal(await textOf("hi", { add_bos_token: true }), "<s>hi</s>");
  assert.equal(await textOf("<s>hi", { add_bos_token: true }), "<s>hi</s>");
  assert.equal(await textOf("hi", { add_bos_token: true, add_eos_token: true }), "<s>hi</s>");
  assert.equal(await textOf("hi", { eos_token: null }), "hi");
});

Deno.test("tokenizeExample() needs a template for messages", async () => {
  const tokenizer = await chatTokenizer();
  const example = {
    kind: "messages",
    messages: [{ role: "user", content: "q" }, { role: "assistant", content: "a" }],
  } as const;
  const { labels } = tokenizeExample(example, {
    tokenizer,
    template: new ChatTemplate(CHAT_TEMPLATE, tokenizer),
  });
  assert.equal(trainedTokens(labels), 2);
  assert.throws(() => tokenizeExample(example, { tokenizer, template: null }), TypeError);
});

Deno.test("cutExample() keeps the start, and counts the trained tokens it lost", () => {
  const row = { ids: [5, 6, 7, 8, 9], labels: [IGNORE_INDEX, IGNORE_INDEX, 7, 8, 9] };
  assert.deepEqual(cutExample(row, 5), {
    example: { inputIds: Int32Array.from(row.ids), labels: Int32Array.from(row.labels) },
    lostTokens: 0,
  });
  assert.deepEqual(cutExample(row, 3), {
    example: { inputIds: Int32Array.of(5, 6, 7), labels: Int32Array.of(IGNORE_INDEX, IGNORE_INDEX, 7) },
    lostTokens: 2,
  });
  assert.deepEqual(cutExample(row, 2), { example: null, lostTokens: 3 });
});

Deno.test("trainedTokens() does not count the first token, which nothing predicts", () => {
  assert.equal(trainedTokens([4, 5, IGNORE_INDEX, 6]), 2);
  assert.equal(trainedTokens([4]), 0);
  assert.deepEqual(cutExample({ ids: [4, 5], labels: [4, IGNORE_INDEX] }, 2), {
    example: null,
    lostTokens: 0,
  });
});
