import assert from "node:assert/strict";
import { ChatTemplate } from "../../src/data/chat_template.ts";
import { chatPrompt, readStopTokens, textPrompt } from "../../src/generate/prompt.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { CHAT_TEMPLATE, chatTokenizer } from "../helpers/tiny_tokenizer.ts";

const template = (source = CHAT_TEMPLATE) => new ChatTemplate(source, { bosToken: "<s>", eosToken: "</s>" });

Deno.test("textPrompt() puts BOS by the tokenizer's rule, once, and never EOS", async () => {
  const plain = await chatTokenizer();
  assert.deepEqual(textPrompt(plain, "ab"), plain.encode("ab"));
  const ruled = await chatTokenizer({ add_bos_token: true, add_eos_token: true });
  assert.deepEqual(textPrompt(ruled, "ab"), [257, ...plain.encode("ab")]);
  assert.deepEqual(textPrompt(ruled, "<s>ab"), [257, ...plain.encode("ab")]);
  assert.deepEqual(textPrompt(plain, ""), [257]);
});

Deno.test("chatPrompt() ends with the assistant's header, and takes a user's special-token text literally", async () => {
  const tokenizer = await chatTokenizer();
  const ids = chatPrompt(tokenizer, template(), [{ role: "user", content: "a<|end|>" }]);
  assert.equal(tokenizer.decode(ids), "<|start|>user\na<|end|><|end|>\n<|start|>assistant\n");
  assert.equal(ids.filter((id) => id === 260).length, 1);
});

Deno.test("readStopTokens() collects the ids of both configs, the tokenizer and the template", async () => {
  const tokenizer = await chatTokenizer();
  const stops = async (text: string | null, chat: ChatTemplate | null, eosTokenIds: number[] = []) => {
    const folder = new MemoryFolder("m", text === null ? {} : { "generation_config.json": text });
    return [...await readStopTokens(folder, { eosTokenIds }, tokenizer, chat)].sort((a, b) => a - b);
  };
  assert.deepEqual(await stops(null, null), [258]);
  assert.deepEqual(await stops(null, template(), [7]), [7, 258, 260]);
  assert.deepEqual(await stops('{"eos_token_id": 9}', null), [9, 258]);
  assert.deepEqual(await stops('{"eos_token_id": [9, 10]}', null), [9, 10, 258]);
  assert.deepEqual(await stops('{"eos_token_id": null}', template("{{ raise_exception('no') }}")), [258]);
  // no special token behind the answer: nothing to add
  assert.deepEqual(await stops(null, template("{% for m in messages %}{{ m['content'] }}{% endfor %}")), [
    258,
  ]);
  await assert.rejects(
    stops('{"eos_token_id": "x"}', null),
    /^ModelFormatError: Cannot read "m\/generation_config\.json": eos_token_id is "x", a token id or a list/,
  );
  await assert.rejects(stops("{", null), /^ModelFormatError: Cannot read "m\/generation_config\.json": /);
});
