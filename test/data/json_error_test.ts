import assert from "node:assert/strict";
import { jsonErrorAt } from "../../src/data/json_error.ts";

Deno.test("jsonErrorAt() finds the first token that cannot stand where it stands", () => {
  const cases: Record<string, string> = {
    "a comma too many": '{"a": 1,^, "b": 2}',
    "a word that is none": '{"text": ^nope}',
    "single quotes": "{^'a': 1}",
    "a key without quotes": "{^a: 1}",
    "no colon": '{"a" ^1}',
    "no comma": "[1 ^2]",
    "a comma at the end": '{"a": 1,^}',
    "of a list too": "[1,^]",
    "the other bracket": '{"a": [1^}}',
    "more behind": '{"a": 1} ^{}',
    "an end too early": '{"a": ^',
    "an open string": '{"a": "b^',
    "a line break in a string": '"a^\n"',
    "an escape that is none": '"a^\\x"',
    "half an escape": '"a^\\u12"',
    "a number with a zero before": "[0^1]",
    "NaN": '{"a": ^NaN}',
    nothing: "^",
    "white space": "  ^",
  };
  for (const [what, marked] of Object.entries(cases)) {
    const at = marked.indexOf("^"), text = marked.replace("^", "");
    assert.throws(() => JSON.parse(text), what);
    assert.equal(jsonErrorAt(text), at, what);
  }
});

Deno.test("jsonErrorAt() finds nothing in JSON, and something in all that JSON.parse refuses", () => {
  const whole = JSON.stringify(
    { a: [1, -2.5e-3, true, null, { b: '\u00e9\n\\"🙂' }, [], {}], c: "" },
    null,
    1,
  );
  assert.equal(jsonErrorAt(whole), null);
  for (let cut = 0; cut < whole.length; cut++) {
    const without = whole.slice(0, cut) + whole.slice(cut + 1);
    let isJson = true;
    try {
      JSON.parse(without);
    } catch {
      isJson = false;
    }
    assert.equal(jsonErrorAt(without) === null, isJson, without);
  }
});

Deno.test("jsonErrorAt() takes a line of 16 MB", () => {
  assert.equal(jsonErrorAt(`{"a": "${"x".repeat(16e6)}", }`), 7 + 16e6 + 3);
});
