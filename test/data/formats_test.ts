import assert from "node:assert/strict";
import {
  type Example,
  formatNamed,
  formatOf,
  parseRow,
  renameColumns,
  ROW_FORMATS,
  type RowFormat,
} from "../../src/data/formats.ts";

/** The example of a row, which must be one. */
function exampleOf(row: unknown, format: string): Example {
  const parsed = parseRow(row, formatNamed(format));
  assert.ok("example" in parsed, JSON.stringify(parsed));
  return parsed.example;
}

function problemOf(row: unknown, format: string, decidedBy?: number): string {
  const parsed = parseRow(row, formatNamed(format), decidedBy);
  assert.ok("problem" in parsed, JSON.stringify(row));
  return parsed.problem;
}

Deno.test("formatOf() names the format whose fields are all there, else the one that a field tells", () => {
  const formats: [unknown, string | null][] = [
    [{ text: "" }, "text"],
    [{ messages: 1, text: "" }, "messages"],
    [{ conversations: [] }, "sharegpt"],
    [{ instruction: "", input: "", output: "", text: "" }, "instruction"],
    [{ instruction: "", prompt: "", completion: "" }, "prompt_completion"],
    [{ input: "", output: "" }, "input_output"],
    [{ instruction: "" }, "instruction"],
    [{ prompt: "" }, "prompt_completion"],
    [{ output: "" }, "input_output"],
    [{ prompt: "", chosen: "", rejected: "" }, "preference"],
    [{ preferred_output: [] }, "preference"],
  ];
  for (const [row, format] of formats) {
    assert.equal(formatOf(row)?.name ?? null, format, JSON.stringify(row));
  }
  for (const other of [null, 3, [], "text", {}]) assert.equal(formatOf(other), null);
});

Deno.test("formatNamed() finds the formats that are trained, and says which there are", () => {
  assert.equal(formatNamed("sharegpt").name, "sharegpt");
  for (const other of ["preference", "shareGPT"]) {
    assert.throws(() => formatNamed(other), {
      name: "ConfigError",
      message: /^data_format: must be one of auto, messages, sharegpt, instruction, .*: current value is "/,
    });
  }
});

Deno.test("formatOf() and parseRow() know the formats that they are given", () => {
  const verse: RowFormat = {
    name: "verse",
    needs: ["verse"],
    sample: '{"verse": "..."}',
    parse: ({ verse }) => ({ example: { kind: "text", text: String(verse) }, warnings: [] }),
  };
  const formats = [...ROW_FORMATS, verse], text = formatNamed("text");
  assert.equal(formatOf({ verse: "a" }), null);
  assert.equal(formatOf({ verse: "a" }, formats), verse);
  assert.deepEqual(parseRow({ verse: "a" }, verse), { example: { kind: "text", text: "a" }, warnings: [] });
  assert.deepEqual(parseRow({ verse: "a" }, text, 3, formats), {
    problem:
      "is a verse row, but line 3 made this a file of text rows: keep one format a file, or convert it to " +
      '{"text": "..."}',
  });
});

Deno.test("parseRow() reads requests, with and without an input", () => {
  const request = { kind: "request", instruction: "i", input: "n", output: "o" };
  assert.deepEqual(
    exampleOf({ instruction: "i", input: "n", output: "o", text: "x" }, "instruction"),
    request,
  );
  for (const input of [undefined, null, ""]) {
    assert.deepEqual(exampleOf({ instruction: "i", input, output: "o" }, "instruction"), {
      ...request,
      input: "",
    });
  }
  assert.deepEqual(exampleOf({ input: "n", output: "o" }, "input_output"), { ...request, instruction: "" });
  assert.equal(
    problemOf({ instruction: 1, output: "o" }, "instruction"),
    '"instruction" is a number, not a string',
  );
  assert.match(problemOf({ instruction: " ", output: "o" }, "instruction"), /^asks nothing/);
  assert.match(problemOf({ input: "n", output: " " }, "input_output"), /^"output" is empty/);
  assert.equal(
    problemOf({ input: "n" }, "input_output"),
    'is an input_output row; "output" is missing: write {"input": "...", "output": "..."}',
  );
});

Deno.test("parseRow() reads pairs of texts as they are, pairs of lists as a conversation", () => {
  assert.deepEqual(exampleOf({ prompt: " p", completion: "c " }, "prompt_completion"), {
    kind: "pair",
    prompt: " p",
    completion: "c ",
  });
  const prompt = [{ role: "user", content: "q" }, { role: "assistant", content: "old" }];
  const completion = [{ role: "assistant", content: "new" }];
  const conversation = {
    kind: "messages",
    messages: [...prompt.map((turn) => ({ ...turn, weight: 0 })), ...completion],
  };
  assert.deepEqual(exampleOf({ prompt, completion }, "prompt_completion"), conversation);
  const cells = { prompt: JSON.stringify(prompt), completion: JSON.stringify(completion) };
  assert.deepEqual(exampleOf(cells, "prompt_completion"), conversation);
  assert.match(problemOf({ prompt: "p", completion: "" }, "prompt_completion"), /^"completion" is empty/);
  assert.match(problemOf({ prompt: ["p"], completion: "c" }, "prompt_completion"), /^"prompt" is an array/);
});

Deno.test("parseRow() reads ShareGPT by who speaks", () => {
  const conversations = [{ from: "human", value: "q" }, { from: "gpt", value: "a", weight: 1 }];
  const messages = [{ role: "user", content: "q" }, { role: "assistant", content: "a", weight: 1 }];
  assert.deepEqual(exampleOf({ conversations }, "sharegpt"), { kind: "messages", messages });
  assert.deepEqual(exampleOf({ conversations: messages, system: "s" }, "sharegpt"), {
    kind: "messages",
    messages: [{ role: "system", content: "s" }, ...messages],
  });
  assert.match(
    problemOf({ conversations: [{ from: "toString", value: "" }] }, "sharegpt"),
    /^conversations\[0\] "from" is "toString", not one of human, user, gpt/,
  );
  assert.match(problemOf({ conversations: [{ from: "gpt", value: 1 }] }, "sharegpt"), /"value" is a number/);
});

Deno.test("parseRow() keeps tools and calls, their arguments as objects", () => {
  const tools = [{ type: "function", function: { name: "add" } }];
  const call = { id: "c1", type: "function", function: { name: "add", arguments: '{"a": 1}' } };
  const row = (calls: unknown, content: unknown = null) => ({
    tools,
    chat_template_kwargs: { enable_thinking: false },
    messages: [
      { role: "user", content: "1+1?", name: null, tool_calls: null },
      { role: "assistant", content, tool_calls: calls, weight: null },
      { role: "tool", content: "2", tool_call_id: "c1" },
    ],
  });
  assert.deepEqual(exampleOf(row([call]), "messages"), {
    kind: "messages",
    messages: [
      { role: "user", content: "1+1?" },
      {
        role: "assistant",
        content: "",
        tool_calls: [{ ...call, function: { name: "add", arguments: { a: 1 } } }],
      },
      { role: "tool", content: "2", tool_call_id: "c1" },
    ],
    tools,
    chatTemplateKwargs: { enable_thinking: false },
  });
  assert.match(
    problemOf(row([{ function: {} }]), "messages"),
    /tool_calls\[0\] has no "function" with a "name"/,
  );
  assert.match(
    problemOf(row([{ function: { name: "add", arguments: "[1]" } }]), "messages"),
    /has "arguments" that are no JSON object/,
  );
  assert.match(problemOf(row([]), "messages"), /^messages\[1\] "content" is null, not a string/);
  assert.match(problemOf({ ...row([call]), tools: {} }, "messages"), /^"tools" is an object, not an array/);
});

Deno.test("parseRow() tells where half of a surrogate pair is", () => {
  const row = { messages: [{ role: "user", content: "\ud83d" }, { role: "assistant", content: "a" }] };
  assert.match(problemOf(row, "messages"), /^messages\[0\]\.content contains half of a surrogate pair/);
  assert.match(problemOf({ input: "a", output: "\udc00" }, "input_output"), /^output contains half/);
});

Deno.test("renameColumns() gives columns the format's names, and tells the one that is not there", () => {
  const row = { question: "q", answer: "a", prompt: "old", id: 1 };
  assert.deepEqual(renameColumns(row, { prompt: "question", completion: "answer" }), {
    id: 1,
    prompt: "q",
    completion: "a",
  });
  assert.deepEqual(renameColumns({ input: 1, output: 2 }, { input: "output", output: "input" }), {
    input: 2,
    output: 1,
  });
  assert.equal(
    renameColumns({ q: "" }, { prompt: "question" }),
    'has no "question", which column_mapping takes as "prompt" (found "q")',
  );
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
  assert.deepEqual(parseRow(row, formatNamed("messages")), {
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
      { messages: [user, { ...answer, function_call: {} }] },
      /^messages\[1\] has "function_call": write it as/,
    ],
    [{ messages: [user, answer], functions: [] }, /^has "functions": write them as "tools"/],
    [
      { messages: [{ role: "user", content: [{ type: "text", text: "q" }] }] },
      /array of parts: join their texts/,
    ],
    [{ messages: [user, { ...answer, weight: 0.5 }] }, /^messages\[1\] "weight" is 0\.5, not 0 or 1$/],
    [{ messages: [user, { ...answer, weight: 0 }] }, /^has no assistant turn to learn from/],
    [{ messages: [{ ...user, name: 1 }, answer] }, /^messages\[0\] "name" is a number/],
    [{ turns: [user] }, /^has no "messages" \(found "turns"\): write \{"messages"/],
    [{}, /found no keys/],
    ["hi", /^is a string, not an object/],
  ];
  for (const [row, message] of cases) {
    const parsed = parseRow(row, formatNamed("messages"));
    assert.ok("problem" in parsed, JSON.stringify(row));
    assert.match(parsed.problem, message);
  }
  for (
    const [row, message] of [[{ text: null }, /"text" is null/], [
      { text: " \n" },
      /"text" is empty/,
    ]] as const
  ) {
    const parsed = parseRow(row, formatNamed("text"));
    assert.ok("problem" in parsed);
    assert.match(parsed.problem, message);
  }
});

Deno.test("parseRow() remarks on turns that strict templates refuse", () => {
  const warningsOf = (...roles: string[]) => {
    const parsed = parseRow(
      { messages: roles.map((role) => ({ role, content: "x" })) },
      formatNamed("messages"),
    );
    assert.ok("example" in parsed);
    return parsed.warnings.map((warning) => warning.split(",")[0]);
  };
  assert.deepEqual(warningsOf("system", "user", "assistant", "user", "assistant"), []);
  assert.deepEqual(warningsOf("user", "assistant", "tool", "assistant"), []);
  assert.deepEqual(warningsOf("system", "assistant"), ["starts with an assistant turn"]);
  assert.deepEqual(warningsOf("user", "assistant", "assistant"), ["has two turns of one role in a row"]);
});
