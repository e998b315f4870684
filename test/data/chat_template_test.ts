import assert from "node:assert/strict";
import { ChatTemplate, ChatTemplateError, MAX_TEMPLATE_LENGTH } from "../../src/data/chat_template.ts";
import type { Message } from "../../src/data/formats.ts";
import { ModelFormatError } from "../../src/errors.ts";

const tokens = { bosToken: "<s>", eosToken: null };
const hi: Message[] = [{ role: "user", content: "hi" }];

Deno.test("render() gives the template messages, tokens and what transformers defines", () => {
  const source = "{{ bos_token }}{% if tools is not none %}T{% endif %}{{ eos_token }}|{{ date_string }}|" +
    "{% for m in messages %}{{ m.role }}={{ m.content | trim }};{{ m.name if m.name is defined else '-' }}{% endfor %}" +
    "{% if add_generation_prompt %}>{% endif %}";
  const template = new ChatTemplate(source, tokens);
  assert.equal(template.render(hi, true), "<s>|26 Jul 2024|user=hi;->");
  assert.equal(
    template.render([{ role: "assistant", content: " a ", name: "Ann", weight: 0 }], false),
    "<s>|26 Jul 2024|assistant=a;Ann",
  );
});

Deno.test("ChatTemplate tells a refused conversation from a broken template", () => {
  const strict = new ChatTemplate("{{ raise_exception('Roles must alternate') }}", tokens);
  assert.throws(() => strict.render(hi, false), (error: Error) => {
    assert.ok(error instanceof ChatTemplateError);
    assert.equal(error.message, "the chat template refuses it: Roles must alternate");
    return true;
  });
  const calls = new ChatTemplate("{{ messages[0].content | no_such_filter }}", tokens);
  assert.throws(() => calls.render(hi, false), { name: "ChatTemplateError", message: /refuses it/ });
  assert.throws(() => new ChatTemplate("{% for m in %}", tokens), (error: Error) => {
    assert.ok(error instanceof ModelFormatError);
    assert.match(error.message, /Cannot parse the chat template as Jinja/);
    return true;
  });
});

Deno.test("ChatTemplate limits what is read and what is written", () => {
  assert.throws(() => new ChatTemplate(" ".repeat(MAX_TEMPLATE_LENGTH + 1), tokens), {
    name: "ModelFormatError",
    message: /has 262145 characters, more than 262144/,
  });
  const bomb = new ChatTemplate("{% for i in range(70) %}{{ messages[0].content }}{% endfor %}", tokens);
  assert.throws(() => bomb.render([{ role: "user", content: "x".repeat(2 ** 20) }], false), {
    name: "ChatTemplateError",
    message: /writes 73400320 characters, more than 67108864: split the row/,
  });
});
