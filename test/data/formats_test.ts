import assert from "node:assert/strict";
import { formatOf, otherShapeOf, parseRow } from "../../src/data/formats.ts";

Deno.test("formatOf() says which trained format a row has", () => {
  assert.equal(formatOf({ text: "" }), "text");
  assert.equal(formatOf({ messages: 1, text: "" }), "messages");
  for (const other of [null, 3, [], "text", {}, { prompt: "" }]) assert.equal(formatOf(other), null);
});

Deno.test("otherShapeOf() names the shapes that are known but not trained", () => {
  assert.equal(otherShapeOf({ conversations: [] }), "sharegpt");
  assert.equal(otherShapeOf({ prompt: "", chosen: "", rejected: "" }), "preference");
  assert.equal(otherShapeOf({ instruction: "", input: "", output: "" }), "instruction");
  assert.equal(otherShapeOf({ prompt: "", completion: "" }), "prompt/completion");
  assert.equal(otherShapeOf({ input: "", output: "" }), "input/output");
  assert.equal(otherShapeOf({ text: "" }), null);
});

Deno.test("parseRow() keeps what is trained of a message and nothing else", () => {
  const row = {
    id: 7,
    messages: [
      { role: "developer", content: "", extra: 1 },
      { role: "user", content: " hi ", name: "Ann" },
      { role: "assistant", content: "skip", weight: 0 },
      { role: "tool", content: "4" },
      { role: "assistant", content: "yes", weight: 1 },
    ],
  };
  assert.deepEqual(parseRow(row, "messages"), {
    example: {
      kind: "messages",
      messages: [
        { role: "developer", content: "" },
        { role: "user", content: " hi ", name: "Ann" },
        { role: "assistant", content: "skip", weight: 0 },
        { role: "tool", content: "4" },
        { role: "assistant", content: "yes", weight: 1 },
      ],
    },
    warnings: [],
  });
});

Deno.test("parseRow() says what is wrong with a row", () => {
  const user = { role: "user", content: "q" };
  const answer = { role: "assistant", content: "a" };
  const cases: [unknown, RegExp][] = [
    [{ messages: "hi" }, /^"messages" is a string, not an array$/],
    [{ messages: [user, "a"] }, /^messages\[1\] is a string, not an object/],
    [{ messages: [{ content: "a" }] }, /^messages\[0\] role is missing and is not one of/],
    [
      { messages: [{ role: "gpt", content: "a" }] },
      /role "gpt" is not one of .* \(did you mean "assistant"\?\)$/,
    ],
    [{ messages: [{ role: "toString", content: "a" }] }, /role "toString" is not one of [^?]*$/],
    [
      { messages: [user, { role: "assistant", content: null, tool_calls: [] }] },
      /^messages\[1\] has tool calls/,
    ],
    [
      { messages: [{ role: "user", content: [{ type: "text", text: "q" }] }] },
      /array of parts: join their texts/,
    ],
    [{ messages: [user, { ...answer, weight: 0.5 }] }, /^messages\[1\] "weight" is 0\.5, not 0 or 1$/],
    [{ messages: [user, { ...answer, weight: 0 }] }, /^has no assistant turn to learn from/],
    [{ messages: [{ ...user, name: 1 }, answer] }, /^messages\[0\] "name" is a number/],
    [{ messages: [user, answer], tools: [{}] }, /^has "tools"/],
    [{ turns: [user] }, /^has no "messages" \(found "turns"\): write \{"messages"/],
    [{}, /found no keys/],
    ["hi", /^is a string, not an object/],
  ];
  for (const [row, message] of cases) {
    const parsed = parseRow(row, "messages");
    assert.ok("problem" in parsed, JSON.stringify(row));
    assert.match(parsed.problem, message);
  }
  for (
    const [row, message] of [[{ text: null }, /"text" is null/], [
      { text: " \n" },
      /"text" is empty/,
    ]] as const
  ) {
    const parsed = parseRow(row, "text");
    assert.ok("problem" in parsed);
    assert.match(parsed.problem, message);
  }
});

Deno.test("parseRow() remarks on turns that strict templates refuse", () => {
  const warningsOf = (...roles: string[]) => {
    const parsed = parseRow({ messages: roles.map((role) => ({ role, content: "x" })) }, "messages");
    assert.ok("example" in parsed);
    return parsed.warnings.map((warning) => warning.split(",")[0]);
  };
  assert.deepEqual(warningsOf("system", "user", "assistant", "user", "assistant"), []);
  assert.deepEqual(warningsOf("user", "assistant", "tool", "assistant"), []);
  assert.deepEqual(warningsOf("system", "assistant"), ["starts with an assistant turn"]);
  assert.deepEqual(warningsOf("user", "assistant", "assistant"), ["has two turns of one role in a row"]);
});
