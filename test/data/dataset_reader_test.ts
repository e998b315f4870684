import assert from "node:assert/strict";
import { DatasetReader, type ReadOptions, refuseProblems } from "../../src/data/dataset_reader.ts";
import { MAX_LISTED_ISSUES } from "../../src/data/problems.ts";
import { DatasetFormatError } from "../../src/errors.ts";
import { type ReadableFolder, readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

const shared = new URL("../../../shared/data/", import.meta.url).pathname;
const present = await new LocalFolder(shared + "fixtures").exists("bad-lines.expected.tsv");
const fixtures = new LocalFolder(shared + "fixtures");

/** Reads files of a folder; all of them by default. */
async function readFiles(
  folder: ReadableFolder,
  names: readonly string[],
  options: Partial<ReadOptions> = {},
) {
  const reader = new DatasetReader({ format: "auto", ...options });
  const examples = [];
  for (const name of names) {
    for await (const { line, example } of reader.read(await folder.open(name))) {
      examples.push({ line, example });
    }
  }
  return { reader, examples };
}

function read(content: string, options: Partial<ReadOptions> = {}) {
  return readFiles(new MemoryFolder("data", { "x.jsonl": content }), ["x.jsonl"], options);
}

async function messagesOf(reading: ReturnType<typeof read>) {
  return (await reading).reader.problems.listed().map(({ message }) => message);
}

const turns = (user: string, assistant: string) => ({
  messages: [{ role: "user", content: user }, { role: "assistant", content: assistant }],
});

Deno.test("DatasetReader keeps rows with their lines and counts blank ones", async () => {
  const { reader, examples } = await read(
    `\n${JSON.stringify(turns("a", "b"))}\n  \n${JSON.stringify(turns("c", "d"))}`,
  );
  assert.deepEqual([[...reader.formats], reader.rows, reader.blankLines], [["messages"], 2, 2]);
  assert.deepEqual(examples.map(({ line }) => line), [2, 4]);
  assert.deepEqual(examples[1]!.example, { kind: "messages", ...turns("c", "d") });
  assert.equal(reader.problems.count, 0);
});

Deno.test("DatasetReader takes the named format over the first row's", async () => {
  const row = JSON.stringify({ text: "t", ...turns("a", "b") });
  assert.equal((await read(row)).examples[0]!.example.kind, "messages");
  const named = await read(row, { format: "text" });
  assert.deepEqual(named.examples[0]!.example, { kind: "text", text: "t" });
  assert.deepEqual(await messagesOf(read('{"text":"t"}', { format: "input_output" })), [
    'is a text row, but it is read as input_output: keep one format a file, or convert it to {"input": "...", ' +
    '"output": "..."}',
  ]);
});

Deno.test("DatasetReader goes on from unknown rows to the first that has a format", async () => {
  const { reader, examples } = await read('{"x":1}\n{"text":"t"}\n{"x":2}\n');
  assert.deepEqual(examples.map(({ line }) => line), [2]);
  assert.deepEqual(reader.problems.listed().map(({ line, message }) => [line, message.slice(0, 26)]), [
    [1, 'has no "text" (found "x"):'],
    [3, 'has no "text" (found "x"):'],
  ]);
});

Deno.test("DatasetReader refuses a file of a shape that is not trained once, with how to convert it", async () => {
  const { reader } = await read('{"chosen":"a","rejected":"b"}\n'.repeat(9));
  assert.equal(reader.problems.count, 1);
  assert.match(
    reader.problems.listed()[0]!.message,
    /^is a preference row, a format that is not trained: keep/,
  );
});

Deno.test("DatasetReader names columns by the mapping before it looks for a format", async () => {
  const columnMapping = { prompt: "question", completion: "answer" };
  const { examples, reader } = await read('{"question":"q","answer":"a"}\n{"question":"q"}', {
    columnMapping,
  });
  assert.deepEqual(examples, [{ line: 1, example: { kind: "pair", prompt: "q", completion: "a" } }]);
  assert.deepEqual(reader.problems.listed().map(({ line, message }) => [line, message]), [
    [2, 'has no "answer", which column_mapping takes as "completion" (found "question")'],
  ]);
});

Deno.test("DatasetReader reads several files of several kinds, and hashes all their bytes", async () => {
  const files = {
    "a.csv": "instruction,input,output\nAdd,1 1,2\n",
    "b.json": JSON.stringify([turns("a", "b")], null, 1),
    "c.jsonl": '{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}]}\n',
  };
  const { reader, examples } = await readFiles(new MemoryFolder("data", files), Object.keys(files));
  assert.deepEqual(examples.map(({ line, example }) => [line, example.kind]), [
    [2, "request"],
    [1, "messages"],
    [1, "messages"],
  ]);
  assert.deepEqual([...reader.formats], ["instruction", "messages", "sharegpt"]);
  const bytes = new TextEncoder().encode(Object.values(files).join(""));
  assert.equal(reader.sha256(), new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex());
});

Deno.test("DatasetReader lists the first problems and counts the rest", async () => {
  const { reader } = await read('{"text":"ok"}\n' + '{"text":1}\n'.repeat(MAX_LISTED_ISSUES + 7));
  const issues = reader.problems.listed();
  assert.equal(issues.length, MAX_LISTED_ISSUES + 1);
  assert.deepEqual(issues[0], { file: "data/x.jsonl", line: 2, message: '"text" is a number, not a string' });
  assert.deepEqual(issues.at(-1), { file: "data/x.jsonl", message: "and 7 more lines with problems" });
  assert.throws(() => refuseProblems([reader]), DatasetFormatError);
});

Deno.test("DatasetReader refuses a file without rows, and takes back a row that something else refuses", async () => {
  assert.deepEqual(await messagesOf(read("\n\n")), ["has no rows: write one JSON object a line"]);
  assert.match((await messagesOf(read(""))).join(), /^is empty/);
  const { reader } = await read('{"text":"a"}');
  reader.refuse({ file: "data/x.jsonl", line: 1, message: "no" });
  assert.deepEqual([reader.rows, reader.problems.count], [0, 1]);
});

Deno.test({
  name: "DatasetReader gives the expected verdict on every bad line (needs shared data)",
  ignore: !present,
  async fn() {
    const expected = new Map(
      (await readText(fixtures, "bad-lines.expected.tsv")).trimEnd().split("\n").map((line) => {
        const [number, verdict] = line.split("\t");
        return [Number(number), verdict!] as const;
      }),
    );
    const said: Record<string, RegExp> = {
      "no assistant turn": /^has no assistant turn/,
      "empty messages": /^"messages" is empty/,
      "unknown role": /^messages\[0\] role "robot" is not one of system, developer, user, assistant, tool$/,
      "content missing": /^messages\[0\] has no "content"$/,
      "content not a string": /^messages\[0\] "content" is a number, not a string$/,
      "empty assistant content": /^messages\[1\] is an assistant turn with empty "content"$/,
      "single quotes: not JSON": /^is not JSON .*use double quotes/,
      "trailing comma": /^is not JSON .*remove the comma at its end$/,
      "not an object": /^is an array, not an object/,
      "null": /^is null, not an object/,
      "format differs from line 1":
        /^is a text row, but line 1 made this a file of messages rows: keep one format/,
      "output missing":
        /^is an in\w+ row, but line 1 made this a file of messages rows; "output" is missing: keep/,
      "prompt/completion: suggest --format or mapping":
        /^is a prompt_completion row, but .*: keep one format a file, or convert it to \{"messages"/,
      "sharegpt: suggest conversion": /^is a sharegpt row, but .*, or convert it to \{"messages"/,
      "lone surrogate": /^messages\[0\]\.content contains half of a surrogate pair/,
    };
    const { reader } = await readFiles(fixtures, ["bad-lines.messages.jsonl"]);
    const issues = reader.problems.listed();
    const wanted = [...expected].filter(([, verdict]) => verdict in said);
    assert.equal(wanted.length, 16);
    assert.deepEqual(issues.map(({ line }) => line), wanted.map(([line]) => line));
    for (const [i, [line, verdict]] of wanted.entries()) {
      assert.match(issues[i]!.message, said[verdict]!, `line ${line}: ${verdict}`);
    }
  },
});

Deno.test({
  name: "DatasetReader accepts the good lines of the same file, with remarks (needs shared data)",
  ignore: !present,
  async fn() {
    const lines = (await readText(fixtures, "bad-lines.messages.jsonl")).split("\n");
    const kept = lines.map((line, i) => [1, 2, 19, 20, 21, 22, 23, 24].includes(i + 1) ? line : "");
    const { reader, examples } = await read(kept.join("\n"));
    assert.deepEqual(examples.map(({ line }) => line), [1, 19, 20, 21, 22, 23, 24]);
    assert.deepEqual(reader.remarks.listed().map((remark) => remark.split(",")[0]), [
      "data/x.jsonl:20: starts with an assistant turn",
      "data/x.jsonl:22: has two turns of one role in a row",
    ]);
  },
});

Deno.test({
  name: "DatasetReader gives the expected verdict on every odd file (needs shared data)",
  ignore: !present,
  async fn() {
    const good = await readFiles(fixtures, ["crlf-bom.text.jsonl", "array.json"]);
    assert.deepEqual(good.examples.map(({ example }) => example), [
      { kind: "text", text: "one" },
      { kind: "text", text: "two \u2028 LINE SEPARATOR stays inside" },
      { kind: "messages", ...turns("hi", "Hello!") },
      { kind: "messages", ...turns("hi", "Hello!") },
    ]);
    for (
      const [name, line, message] of [
        ["empty.jsonl", undefined, /^is empty/],
        ["latin1.text.jsonl", 1, /^is not UTF-8: .*iconv -f LATIN1 -t UTF-8 latin1\.text\.jsonl/],
        ["utf16.text.jsonl", undefined, /^is UTF-16: .*iconv -f UTF-16 -t UTF-8/],
      ] as const
    ) {
      const [issue, ...more] = (await readFiles(fixtures, [name])).reader.problems.listed();
      assert.equal(more.length, 0);
      assert.equal(issue!.line, line, name);
      assert.match(issue!.message, message);
    }
  },
});

Deno.test({
  name: "DatasetReader reads every row of every sample file (needs shared data)",
  ignore: !present,
  async fn() {
    const samples = new LocalFolder(shared);
    const table = (await readText(samples, "SOURCES.md")).matchAll(
      /^\|([\w.-]+\.jsonl)\|(\d+)\|\d+\|([a-z]+)/gm,
    );
    const formats: Record<string, string> = { input: "input_output" };
    let files = 0;
    for (const [, name, rows, format] of table) {
      const { reader } = await readFiles(samples, [name!]);
      const found = [reader.rows, [...reader.formats], reader.problems.listed(), reader.remarks.listed()];
      assert.deepEqual(found, [Number(rows), [formats[format!] ?? format], [], []], name!);
      files++;
    }
    assert.equal(files, 15);
  },
});
