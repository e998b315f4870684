import assert from "node:assert/strict";
import { ChatTemplate } from "../../src/data/chat_template.ts";
import { plainRequest, type Tokenization, tokenizeExample, trainedTokens } from "../../src/data/example.ts";
import { IGNORE_INDEX } from "../../src/data/mask.ts";
import { CHAT_TEMPLATE, chatTokenizer } from "../helpers/tiny_tokenizer.ts";

Deno.test("tokenizeExample() trains all of a text, with one BOS by the tokenizer's rule and one EOS", async () => {
  const textOf = async (text: string, config: Record<string, unknown>) => {
    const tokenizer = await chatTokenizer(config);
    const [row] = tokenizeExample({ kind: "text", text }, { tokenizer, template: null });
    const { ids, labels } = row!;
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
  const [row] = tokenizeExample(example, { tokenizer, template: new ChatTemplate(CHAT_TEMPLATE, tokenizer) });
  assert.equal(trainedTokens(row!.labels), 2);
  assert.throws(() => tokenizeExample(example, { tokenizer, template: null }), TypeError);
});

Deno.test("tokenizeExample() trains the completion of a pair, behind BOS and prompt, up to one EOS", async () => {
  const pair = { kind: "pair", prompt: "Q: ", completion: "yes" } as const;
  const told = async (config: Record<string, unknown>, how: Partial<Tokenization> = {}) => {
    const tokenizer = await chatTokenizer(config);
    const [row] = tokenizeExample(pair, { tokenizer, template: null, ...how });
    const trained = row!.ids.filter((_, t) => row!.labels[t] !== IGNORE_INDEX);
    return [tokenizer.decode([...row!.ids]), tokenizer.decode(trained)];
  };
  assert.deepEqual(await told({}), ["Q: yes</s>", "yes</s>"]);
  assert.deepEqual(await told({ add_bos_token: true }), ["<s>Q: yes</s>", "yes</s>"]);
  assert.deepEqual(await told({ add_bos_token: true }, { trainOn: "all" }), [
    "<s>Q: yes</s>",
    "<s>Q: yes</s>",
  ]);
  const tokenizer = await chatTokenizer();
  const template = new ChatTemplate(CHAT_TEMPLATE, tokenizer);
  assert.deepEqual(await told({}, { template }), ["Q: yes</s>", "yes</s>"]);
});

Deno.test("tokenizeExample() asks a request through the template, or in plain form without one", async () => {
  const tokenizer = await chatTokenizer();
  const template = new ChatTemplate(CHAT_TEMPLATE, tokenizer);
  const request = { kind: "request", instruction: "Add", input: "1 1", output: "2" } as const;
  const [asked] = tokenizeExample(request, { tokenizer, template });
  assert.equal(
    tokenizer.decode([...asked!.ids]),
    "<|start|>user\nAdd\n\n1 1<|end|>\n<|start|>assistant\n2<|end|>\n",
  );
  assert.equal(trainedTokens(asked!.labels), 2);
  const [plain] = tokenizeExample(request, { tokenizer, template: null });
  const prompt = "### Instruction:\nAdd\n\n### Input:\n1 1\n\n### Response:\n";
  assert.equal(tokenizer.decode([...plain!.ids]), prompt + "2</s>");
  assert.deepEqual(plain!.labels.slice(-2), tokenizer.encode("2</s>"));
  assert.equal(trainedTokens(plain!.labels), 2);
  assert.deepEqual(plainRequest({ ...request, input: "" }), [
    "### Instruction:\nAdd\n\n### Response:\n",
    "2",
  ]);
});

Deno.test("trainedTokens() does not count the first token, which nothing predicts", () => {
  assert.equal(trainedTokens([4, 5, IGNORE_INDEX, 6]), 2);
  assert.equal(trainedTokens([4]), 0);
});
