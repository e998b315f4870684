import assert from "node:assert/strict";
import { convert } from "../../src/cli/convert.ts";
import { runCommand } from "../../src/cli/run.ts";
import { convertExample, TARGET_FORMATS } from "../../src/data/convert.ts";
import type { Example } from "../../src/data/formats.ts";
import { readText } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { folderAt } from "../helpers/job_disk.ts";
import { fakeIo } from "./fake_io.ts";

const turns = (...contents: string[]) =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? "user" as const : "assistant" as const, content }));

/** Runs `convert` on a disk in memory. */
async function converted(args: readonly string[], files: Readonly<Record<string, string>>) {
  const root = new MemoryFolder("disk", files), { io, stdout, stderr } = fakeIo();
  const error = await convert(args, io, (uri) => folderAt(root, uri)).then(
    () => null,
    (thrown) => thrown as Error,
  );
  return { root, out: stdout.text, err: stderr.text, error };
}

const lines = (text: string) => text.trimEnd().split("\n").map((line) => JSON.parse(line));

Deno.test("convertExample() says the same in every format that can, and why in no other", () => {
  const pair: Example = { kind: "pair", prompt: "2 + 2?", completion: "4" };
  const request: Example = { kind: "request", instruction: "Add", input: "2, 2", output: "4" };
  const text: Example = { kind: "text", text: "two and two" };
  const chat: Example = { kind: "messages", messages: turns("Hi", "Ho") };
  const long: Example = { kind: "messages", messages: turns("Hi", "Ho", "Ha", "He") };
  const told = (example: Example) =>
    TARGET_FORMATS.map((to) => {
      const made = convertExample(example, to);
      return "row" in made ? made.row : "problem";
    });
  assert.deepEqual(told(pair), [
    { messages: turns("2 + 2?", "4") },
    { prompt: "2 + 2?", completion: "4" },
    { instruction: "2 + 2?", input: "", output: "4" },
    { text: "2 + 2?4" },
  ]);
  assert.deepEqual(told(request), [
    { messages: turns("Add\n\n2, 2", "4") },
    { prompt: "Add\n\n2, 2", completion: "4" },
    { instruction: "Add", input: "2, 2", output: "4" },
    "problem",
  ]);
  assert.deepEqual(told(text), ["problem", "problem", "problem", { text: "two and two" }]);
  assert.deepEqual(told(chat).slice(0, 3), [
    { messages: turns("Hi", "Ho") },
    { prompt: "Hi", completion: "Ho" },
    { instruction: "Hi", input: "", output: "Ho" },
  ]);
  assert.deepEqual(told(long), [{ messages: turns("Hi", "Ho", "Ha", "He") }, ...Array(3).fill("problem")]);
  const tools = [{ type: "function" }], call = { function: { name: "f", arguments: { a: 1 } } };
  const acts = {
    messages: [{ role: "assistant" as const, content: "", tool_calls: [call], weight: 0 as const }],
    tools,
  };
  assert.deepEqual(convertExample({ kind: "messages", ...acts }, "messages"), { row: acts });
  assert.ok(
    "problem" in convertExample({ kind: "messages", messages: turns("Hi", "Ho"), tools }, "instruction"),
  );
});

Deno.test("convert reads any kind of file and writes rows that are read back as they were", async () => {
  const share = { conversations: [{ from: "human", value: "Hi" }, { from: "gpt", value: "Ho" }] };
  const { root, out, err, error } = await converted(["a-*.jsonl", "b.csv", "--out", "deep/all.jsonl"], {
    "a-1.jsonl": `${JSON.stringify(share)}\n`,
    "a-2.jsonl": '{"instruction": "Say", "input": "", "output": "grüße"}\n',
    "b.csv": 'prompt,completion\n"one, two",three\n',
  });
  assert.deepEqual([error, out, err], [
    null,
    "",
    "3 rows of sharegpt, instruction, prompt_completion as messages: deep/all.jsonl\n",
  ]);
  const text = await readText(root.folder("deep"), "all.jsonl");
  assert.deepEqual(lines(text).map(({ messages }) => messages), [
    turns("Hi", "Ho"),
    turns("Say", "grüße"),
    turns("one, two", "three"),
  ]);
  const again = await converted(["all.jsonl", "--to", "prompt_completion", "-q"], { "all.jsonl": text });
  assert.deepEqual(lines(again.out)[2], { prompt: "one, two", completion: "three" });
  assert.equal(again.err, "");
  const renamed = await converted([
    "q.csv",
    "--column-mapping",
    "prompt=q,completion=a",
    "--to",
    "instruction",
  ], {
    "q.csv": "q,a\nwho,me\n",
  });
  assert.deepEqual(lines(renamed.out), [{ instruction: "who", input: "", output: "me" }]);
});

Deno.test("convert lists every line that cannot be used, and writes no file then or over another", async () => {
  const files = { "rows.jsonl": '{"text": "a"}\n{"text": 7}\n{"text": "b"}\n', "there.jsonl": "mine\n" };
  const { root, error } = await converted(["rows.jsonl", "--out", "made.jsonl"], files);
  assert.equal(error!.name, "DatasetFormatError");
  assert.deepEqual(
    (error as unknown as { issues: { line: number; message: string }[] }).issues.map(({ line }) => line),
    [1, 2, 3],
  );
  assert.match(error!.message, /rows\.jsonl:1: as messages: is plain text/);
  assert.deepEqual(await root.list(), ["rows.jsonl", "there.jsonl"]);
  const over = await converted(["rows.jsonl", "--to", "text", "--out", "there.jsonl"], files);
  assert.match(over.error!.message, /--out: "there\.jsonl" is there already/);
  const wrong = await converted(["--to", "jsonl", "--column-mapping", "x"], {});
  assert.match(
    wrong.error!.message,
    /--to: must be one of messages.*\nDATA: is missing.*\n--column-mapping: must be/,
  );
  const { io, stdout } = fakeIo();
  assert.equal(await runCommand(["convert", "--help"], io), 0);
  assert.match(stdout.text, /^lowrank convert: data files as JSON Lines of another format/);
});
