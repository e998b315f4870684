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

Deno.test("ChatTemplate reads templates up to a length", () => {
  assert.throws(() => new ChatTemplate(" ".repeat(MAX_TEMPLATE_LENGTH + 1), tokens), {
    name: "ModelFormatError",
    message: /has 65537 characters, more than 65536/,
  });
});

Deno.test("render() gives up on templates that write, hold or work too much", () => {
  const doubled = (start: string) =>
    `{% set ns = namespace(x=${start}) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}`;
  const bombs: readonly [string, RegExp][] = [
    [doubled("'ab'"), /makes a value of 16777216 characters, more than 8388608/],
    [doubled("[1]"), /makes a value of 262144 entries, more than 131072/],
    ["{{ range(10 ** 10) }}", /range\(\) of 10000000000 entries/],
    ["{{ range(1, 2, 0) }}", /range\(\) of Infinity entries/],
    [
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      /works too long \(more than 8388608 expressions\)/,
    ],
    ["{% for i in range(100000) %}{% set x = range(100000) | join %}{% endfor %}", /works too long/],
    ["{{ 'a' | indent(10 ** 12) }}", /Invalid (count value|string length)/],
  ];
  for (const [source, message] of bombs) {
    assert.throws(() => new ChatTemplate(source, tokens).render(hi, false), (error: Error) => {
      assert.ok(error instanceof ChatTemplateError, String(error));
      assert.match(
        error.message,
        /^the chat template cannot render it as .*: split the row, or give another/,
      );
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("render() has room for long conversations", () => {
  const source =
    "{% for m in messages %}{% if messages[loop.index0].role == m.role and messages | length > 1 %}" +
    "{{ m.content | trim }}{% endif %}{% endfor %}";
  const messages = Array.from(
    { length: 2000 },
    (): Message => ({ role: "user", content: ` ${"x".repeat(99)}` }),
  );
  assert.equal(new ChatTemplate(source, tokens).render(messages, false).length, 2000 * 99);
});

Deno.test("render() strips the characters that it is told to, as Python does", () => {
  const written = (expression: string) => new ChatTemplate(`{{ ${expression} }}`, tokens).render(hi, false);
  assert.equal(written("'xyhixy'.strip('yx')"), "hi");
  assert.equal(written("'\\n  a\\n'.lstrip('\\n') ~ '|'"), "  a\n|");
  assert.equal(written("'a🙂🙂'.rstrip('🙂')"), "a");
  assert.equal(written("'  a '.strip() ~ '|' ~ ' b'.strip(none)"), "a|b");
});

Deno.test("render() tells every run the same day", () => {
  const template = new ChatTemplate("{{ strftime_now('%d %b %Y, %A %%d') }}", tokens);
  assert.equal(template.render(hi, false), "26 Jul 2024, Friday %d");
});
