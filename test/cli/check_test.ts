import assert from "node:assert/strict";
import { check } from "../../src/cli/check.ts";
import { ConfigError, DatasetFormatError } from "../../src/errors.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { chatFiles } from "../helpers/tiny_tokenizer.ts";

const shared = new LocalFolder(new URL("../../../shared", import.meta.url).pathname);
const present = await shared.folder("data").exists("gsm8k-train.io.jsonl");

const CHAT = (user: string, answer: string) =>
  JSON.stringify({ messages: [{ role: "user", content: user }, { role: "assistant", content: answer }] }) +
  "\n";

/** What a check prints; the files lie in one folder, the model in another. */
async function printed(
  args: readonly string[],
  files: Record<string, string>,
  env: Record<string, string> = {},
) {
  let text = "";
  const stdout = { isTerminal: false, columns: 100, write: (more: string) => void (text += more) };
  const root = (uri: string) =>
    uri === "model" ? new MemoryFolder(uri, chatFiles()) : new MemoryFolder(uri, files);
  const error = await check(args, { stdout, stderr: stdout, env }, root).then(() => null, (thrown) => thrown);
  return { text, error };
}

Deno.test("check() counts rows and lengths, and shows what is trained between marks", async () => {
  const files = { "a.jsonl": CHAT("q", "yes") + CHAT("q", "no") + CHAT("q", "no") };
  const { text, error } = await printed(["a.jsonl", "--base-model", "model", "--rows", "1"], files);
  assert.equal(error, null);
  assert.match(
    text,
    /^data {6}\.\/a\.jsonl\nformat {4}messages\nrows {6}3 usable, none bad, 0 blank, 1 repeated\n/,
  );
  assert.match(text, /\ntrained {3}10 tokens, 13\.70 %\n/);
  assert.match(
    text,
    /\nrow 1 {5}25 tokens\n<\|start\|>user\nq<\|end\|>\n<\|start\|>assistant\n«yes<\|end\|>»\n/,
  );
  assert.match(text, /\nheld out {2}1 rows to evaluate on\n/);
  const { text: colored } = await printed(["a.jsonl", "--model", "model", "--color", "always"], files);
  assert.ok(colored.includes("\x1b[36m«yes<|end|>»\x1b[0m"), colored);
});

Deno.test("check() reads data and chat template where they are in a bucket", async () => {
  const bucket = new MemoryStorageManager("my-bucket"),
    bytes = (text: string) => new TextEncoder().encode(text);
  await bucket.write("data/a-1.jsonl", bytes(`{"text":"ab"}\n`));
  await bucket.write("data/a-2.jsonl", bytes(`{"text":"cd"}\n`));
  let text = "";
  const stdout = { isTerminal: false, columns: 100, write: (more: string) => void (text += more) };
  await check(
    ["gs://my-bucket/data/a-?.jsonl", "--json"],
    { stdout, stderr: stdout, env: {} },
    () => assert.fail("a folder of this machine"),
    (uri) => Promise.resolve({ storage: bucket, name: uri.replace("gs://my-bucket/", "") }),
  );
  const { train } = JSON.parse(text);
  assert.deepEqual([train.rows, train.badLines, train.lengths.unit], [2, 0, "characters"]);
});

Deno.test("check() takes a job's data options and tells counts as JSON", async () => {
  const files = { "a.csv": "question,answer\nq,a\nr,b\n", "b.csv": "question,answer\nq,a\n" };
  const args = [
    "?.csv",
    "--column-mapping",
    "prompt=question,completion=answer",
    "--model",
    "model",
    "--json",
  ];
  const { text, error } = await printed([...args, "--packing", "--eval-data-path", "b.csv"], files, {
    LOWRANK_MAX_LENGTH: "6",
  });
  assert.equal(error, null);
  const { train, eval: held, leaked } = JSON.parse(text);
  assert.deepEqual(train.formats, ["prompt_completion"]);
  assert.deepEqual([train.rows, train.tokens, train.trainedTokens, train.repeats], [3, 9, 6, 1]);
  assert.deepEqual([train.packedRows, held.rows, leaked], [2, 1, 1]);
  assert.deepEqual([train.lengths.unit, train.lengths.p50, train.lengths.longest], ["tokens", 3, 3]);
});

Deno.test("check() counts good lines and fails with the bad ones", async () => {
  const { text, error } = await printed(["a.jsonl"], { "a.jsonl": '{"text":"a"}\n{"text":1}\n' });
  assert.match(text, /\nrows {6}1 usable, 1 bad, 0 blank, 0 repeated\n/);
  assert.ok(error instanceof DatasetFormatError);
  assert.deepEqual(error.issues.map(({ line }) => line), [2]);
});

Deno.test("check() tells how many lines would be left out, and which are where they are to be", async () => {
  const files = { "a.jsonl": '{"text":"a"}\n{"text":1}\nnope\n' };
  const strict = await printed(["a.jsonl"], files);
  assert.match(strict.text, /\n {10}2 of the bad ones would be left out with --on-bad-line skip\n/);
  const { text, error } = await printed(["a.jsonl", "--on-bad-line", "skip"], files);
  assert.equal(error, null);
  assert.match(text, /\nrows {6}1 usable, 2 bad, left out, 0 blank/);
  assert.match(text, /\n {10}line 2: "text" is a number, not a string\n {10}line 3: is not JSON/);
  const json = await printed(["a.jsonl", "--on-bad-line", "skip", "--json"], files);
  const { train } = JSON.parse(json.text);
  assert.deepEqual([train.rows, train.badLines, train.skippable, train.skipped], [1, 2, 2, 2]);
});

Deno.test("check() refuses wrong usage", async () => {
  for (
    const [args, message] of [[[], /^DATA is missing|is missing/], [
      ["a", "--rows", "x"],
      /must be a whole number/,
    ]] as const
  ) {
    const { error } = await printed(args, {});
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, message);
  }
});

Deno.test({
  name: "check() tells every line of the malformed sample as it is expected to (needs shared data)",
  ignore: !present,
  async fn() {
    let text = "";
    const stdout = { isTerminal: false, columns: 100, write: (more: string) => void (text += more) };
    const folder = shared.folder("data/fixtures"), model = shared.folder("models/stories260K-hf");
    const args = ["bad-lines.messages.jsonl", "--base-model", "model", "--json"];
    const checked = check(
      args,
      { stdout, stderr: stdout, env: {} },
      (uri) => uri === "model" ? model : folder,
    );
    await assert.rejects(checked, DatasetFormatError);
    const { train } = JSON.parse(text);
    const bad = train.issues.map(({ line }: { line: number }) => line);
    assert.deepEqual(bad, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
    assert.deepEqual([train.rows, train.badLines, train.blankLines, train.cut], [7, 16, 1, 1]);
    const told = train.warnings.map((warning: string) => /jsonl:(\d+)?/.exec(warning)![1] ?? "file");
    assert.deepEqual(told, ["file", "20", "22", "file"]);
  },
});
