import assert from "node:assert/strict";
import { MAX_LISTED_ISSUES, readDatasetFile } from "../../src/data/dataset_file.ts";
import type { DataFormat } from "../../src/data/formats.ts";
import { DatasetFormatError } from "../../src/errors.ts";
import { readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

const shared = new URL("../../../shared/data/", import.meta.url).pathname;
const present = await new LocalFolder(shared + "fixtures").exists("bad-lines.expected.tsv");
const fixtures = new LocalFolder(shared + "fixtures");

async function read(content: string, format: DataFormat = "auto") {
  return await readDatasetFile(
    await new MemoryFolder("data", { "x.jsonl": content }).open("x.jsonl"),
    format,
  );
}

async function issuesOf(reading: Promise<unknown>) {
  const error = await reading.then(() => null, (error) => error);
  assert.ok(error instanceof DatasetFormatError, String(error));
  return error.issues;
}

const turns = (user: string, assistant: string) => ({
  messages: [{ role: "user", content: user }, { role: "assistant", content: assistant }],
});

Deno.test("readDatasetFile() keeps rows with their lines and counts blank ones", async () => {
  const file = await read(`\n${JSON.stringify(turns("a", "b"))}\n  \n${JSON.stringify(turns("c", "d"))}`);
  assert.equal(file.format, "messages");
  assert.deepEqual(file.examples.map(({ line }) => line), [2, 4]);
  assert.deepEqual(file.examples[1]!.example, { kind: "messages", ...turns("c", "d") });
  assert.equal(file.blankLines, 2);
});

Deno.test("readDatasetFile() takes the named format over the first row's", async () => {
  const row = JSON.stringify({ text: "t", ...turns("a", "b") });
  assert.equal((await read(row)).format, "messages");
  assert.deepEqual((await read(row, "text")).examples[0]!.example, { kind: "text", text: "t" });
  assert.deepEqual((await issuesOf(read('{"text":"t"}', "messages"))).map(({ message }) => message), [
    "is a text row, but it is read as messages: keep one format a file",
  ]);
});

Deno.test("readDatasetFile() refuses a file of another shape once, with how to convert it", async () => {
  const rows = { instruction: "i", input: "", output: "o" };
  const issues = await issuesOf(read(Array(9).fill(JSON.stringify(rows)).join("\n")));
  assert.equal(issues.length, 1);
  assert.equal(issues[0]!.line, 1);
  assert.match(
    issues[0]!.message,
    /is an instruction row; that format is not trained: to get \{"messages".* make "instruction"/,
  );
  for (
    const [row, name] of [['{"input":"a","output":"b"}', "an input/output row"], [
      '{"chosen":"a"}',
      "a preference row",
    ]]
  ) {
    assert.ok((await issuesOf(read(row!)))[0]!.message.startsWith(`is ${name}; that format`));
  }
});

Deno.test("readDatasetFile() lists the first problems and counts the rest", async () => {
  const issues = await issuesOf(read('{"text":"ok"}\n' + '{"text":1}\n'.repeat(MAX_LISTED_ISSUES + 7)));
  assert.equal(issues.length, MAX_LISTED_ISSUES + 1);
  assert.deepEqual(issues[0], { file: "data/x.jsonl", line: 2, message: '"text" is a number, not a string' });
  assert.deepEqual(issues.at(-1), { file: "data/x.jsonl", message: "and 7 more lines with problems" });
});

Deno.test("readDatasetFile() refuses a file without rows", async () => {
  assert.match((await issuesOf(read("\n\n")))[0]!.message, /has only blank lines/);
});

Deno.test({
  name: "readDatasetFile() gives the expected verdict on every bad line (needs shared data)",
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
      "format differs from line 1": /^is a text row, but line 1 made this a messages file/,
      "output missing": /"output" is missing; that format is not trained/,
      "prompt/completion: suggest --format or mapping":
        /^is a prompt\/completion row; .* make "prompt" a user message/,
      "sharegpt: suggest conversion": /^is a sharegpt row; .* rename "conversations" to "messages"/,
      "lone surrogate": /^messages\[0\]\.content contains half of a surrogate pair/,
    };
    const issues = await issuesOf(readDatasetFile(await fixtures.open("bad-lines.messages.jsonl"), "auto"));
    const wanted = [...expected].filter(([, verdict]) => verdict in said);
    assert.equal(wanted.length, 16);
    assert.deepEqual(issues.map(({ line }) => line), wanted.map(([line]) => line));
    for (const [i, [line, verdict]] of wanted.entries()) {
      assert.match(issues[i]!.message, said[verdict]!, `line ${line}: ${verdict}`);
    }
  },
});

Deno.test({
  name: "readDatasetFile() accepts the good lines of the same file, with remarks (needs shared data)",
  ignore: !present,
  async fn() {
    const lines = (await readText(fixtures, "bad-lines.messages.jsonl")).split("\n");
    const kept = lines.map((line, i) => [1, 2, 19, 20, 21, 22, 23, 24].includes(i + 1) ? line : "");
    const file = await read(kept.join("\n"));
    assert.deepEqual(file.examples.map(({ line }) => line), [1, 19, 20, 21, 22, 23, 24]);
    assert.deepEqual(file.warnings.map(({ line, message }) => [line, message.split(",")[0]]), [
      [20, "starts with an assistant turn"],
      [22, "has two turns of one role in a row"],
    ]);
  },
});

Deno.test({
  name: "readDatasetFile() gives the expected verdict on every odd file (needs shared data)",
  ignore: !present,
  async fn() {
    const good = await readDatasetFile(await fixtures.open("crlf-bom.text.jsonl"), "auto");
    assert.deepEqual(good.examples.map(({ example }) => example), [
      { kind: "text", text: "one" },
      { kind: "text", text: "two \u2028 LINE SEPARATOR stays inside" },
    ]);
    for (
      const [name, line, message] of [
        ["array.json", undefined, /^is a JSON array, .*jq -c '\.\[\]' array\.json > array\.lines\.jsonl/],
        ["empty.jsonl", undefined, /^is empty/],
        ["latin1.text.jsonl", 1, /^is not UTF-8: .*iconv -f LATIN1 -t UTF-8 latin1\.text\.jsonl/],
        ["utf16.text.jsonl", undefined, /^is UTF-16: .*iconv -f UTF-16 -t UTF-8/],
      ] as const
    ) {
      const [issue, ...more] = await issuesOf(readDatasetFile(await fixtures.open(name), "auto"));
      assert.equal(more.length, 0);
      assert.equal(issue!.line, line, name);
      assert.match(issue!.message, message);
    }
  },
});

Deno.test({
  name: "readDatasetFile() reads the sample files (needs shared data)",
  ignore: !present,
  async fn() {
    const samples = new LocalFolder(shared);
    for (
      const [name, format, rows] of [["gsm8k-test.messages.jsonl", "messages", 200], [
        "names.text.jsonl",
        "text",
        2000,
      ]] as const
    ) {
      const file = await readDatasetFile(await samples.open(name), "auto");
      assert.deepEqual([file.format, file.examples.length, file.warnings.length], [format, rows, 0]);
    }
    for (const name of ["identity.sharegpt.jsonl", "humaneval.io.jsonl", "identity.instruction.jsonl"]) {
      assert.match(
        (await issuesOf(readDatasetFile(await samples.open(name), "auto")))[0]!.message,
        /that format is not trained/,
      );
    }
  },
});
