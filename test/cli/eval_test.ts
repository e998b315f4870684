import assert from "node:assert/strict";
import { evaluate } from "../../src/cli/eval.ts";
import { runCommand } from "../../src/cli/run.ts";
import { ConfigError } from "../../src/errors.ts";
import { readText } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { device as opened, onGpu } from "../helpers/device.ts";
import { folderAt, jobDisk } from "../helpers/job_disk.ts";
import { writeTinyAdapter } from "../helpers/adapter_file.ts";
import { fakeIo, type FakeIoOptions } from "./fake_io.ts";

const ROWS = ["ab", "cd", "ef"].map((prompt) => `${JSON.stringify({ prompt, completion: "xyz" })}\n`).join(
  "",
);

/** Runs `eval` on a disk with the tiny model, an adapter for it and three rows. */
async function run(args: readonly string[], options: FakeIoOptions = {}) {
  const root = await jobDisk({}, ROWS), { io, stdout, stderr } = fakeIo(options);
  await writeTinyAdapter(root.folder("adapter"), opened!);
  const files = (uri: string) => folderAt(root, uri);
  await evaluate(["--base-model", "base", "--eval-data-path", "train.jsonl", ...args], io, {
    files,
    device: opened!,
  });
  return { out: stdout.text, err: stderr.text, root };
}

onGpu("eval shows base and adapter side by side, and writes every answer to a file", async () => {
  const { out, root } = await run(["--adapter-path", "adapter", "--out", "out/answers.jsonl", "--rows", "1"]);
  assert.match(out, /^ {2}data +3 rows, \d+ tokens, 3 questions$/m);
  assert.match(out, /^adapter: loss 3\/3 100% \| ETA 00:00$/m);
  assert.match(out, /^base: answers 3\/3 100% \| ETA 00:00$/m);
  assert.match(out, /^ {20,}base +adapter +change$/m);
  const [, before, after, change] = /^ {2}loss +([\d.]+) +([\d.]+) +([+-][\d.]+)$/m.exec(out)!.map(Number);
  assert.ok(Math.abs(after! - before! - change!) < 2e-4, out);
  assert.match(out, /^ {2}exact match +0\.0 % +0\.0 % +\+0\.0 points$/m);
  assert.match(out, /^ {2}row 1 +ab\n {2}expected +xyz\n {2}base .*\n {2}adapter .*\n\ndone in 00:\d\d$/m);
  assert.match(out, /^answers: out\/answers\.jsonl$/m);
  const rows = (await readText(folderAt(root, "out"), "answers.jsonl")).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  assert.deepEqual(rows.map(({ row, prompt, expected }) => [row, prompt, expected]), [
    [1, "ab", "xyz"],
    [2, "cd", "xyz"],
    [3, "ef", "xyz"],
  ]);
  for (const { base, base_exact, adapter, adapter_exact } of rows) {
    assert.ok(typeof base === "string" && typeof adapter === "string" && base !== adapter);
    assert.deepEqual([base_exact, adapter_exact], [false, false]);
  }
});

onGpu(
  "eval --json prints scores on standard output and the rest elsewhere; a file of options serves",
  async () => {
    const files = {
      "run.json": JSON.stringify({ training_data_path: "other.jsonl", lora_r: 8, max_length: 32 }),
    };
    const args = ["-c", "run.json", "--json", "--metric", "loss", "--limit", "2"];
    const { out, err } = await run(args, { files });
    const { base, adapter, questions } = JSON.parse(out);
    assert.deepEqual([adapter, questions, base.exactMatch], [null, 0, null]);
    assert.ok(Math.abs(base.perplexity - Math.exp(base.loss)) < 1e-9);
    assert.match(err, /^ {2}data +2 rows/m);
    const quiet = await run(["-q", "--metric", "loss", "--adapter", "adapter", "--no-compare-base"]);
    assert.match(quiet.out, /^ +adapter\n {2}loss +[\d.]+\n/);
  },
);

onGpu(
  "eval measures on rows, a template and an adapter of a bucket, and asks for each of its files once",
  async () => {
    const bucket = new MemoryStorageManager(), results = new MemoryFolder("results", { "a-1.jsonl": ROWS });
    await results.folder("t").append("chat.jinja", new TextEncoder().encode("{{ messages[0].content }}"));
    await writeTinyAdapter(results.folder("adapter"), opened!);
    await bucket.uploadFolder(results, "team");
    const asked: string[] = [], download = bucket.downloadFile.bind(bucket);
    bucket.downloadFile = (name, ...rest) => (asked.push(name), download(name, ...rest));
    const root = await jobDisk(), { io, stdout } = fakeIo();
    const words = ["--eval-data-path", "gs://b/team/a-*.jsonl", "--adapter-path", "gs://b/team/adapter/"]
      .concat("--chat-template-path", "gs://b/team/t/chat.jinja", "--metric", "loss", "--json");
    await evaluate(["--base-model", "base", ...words], io, {
      files: (uri) => folderAt(root, uri),
      open: (uri) => Promise.resolve({ storage: bucket, name: uri.replace("gs://b/", "") }),
      device: opened!,
    });
    const { base, adapter } = JSON.parse(stdout.text);
    assert.ok(base.loss > 0 && adapter.loss > 0 && base.loss !== adapter.loss);
    assert.deepEqual(
      asked,
      ["adapter_config.json", "adapter_model.safetensors"].map((name) => `team/adapter/${name}`),
    );
  },
);

onGpu("eval draws its progress on one line of a terminal", async () => {
  const { out } = await run(["--metric", "loss", "--color", "never"], { isTerminal: true });
  assert.ok(out.includes("\r\x1b[Kbase: loss 3/3 100% | ETA 00:00\r\x1b[K"), out);
});

Deno.test("eval lists what is wrong with its flags before anything is read", async () => {
  const { io } = fakeIo();
  const given = ["--base-model", "m", "--metric", "loss,bleu", "--limit", "0", "--max-new-tokens", "x"];
  const error = await evaluate(given, io).then(() => null, (thrown) => thrown);
  assert.ok(error instanceof ConfigError);
  assert.deepEqual(error.issues.map(({ path }) => path), [
    "--limit",
    "--max-new-tokens",
    "--metric",
    "--eval-data-path",
  ]);
  const unknown = await evaluate(["--adaptor-path", "a"], io).then(() => null, (thrown) => thrown);
  assert.match(unknown.message, /--adaptor-path: is not a flag: did you mean "--adapter-path"\?/);
});

Deno.test("eval is a command with help", async () => {
  const { io, stdout } = fakeIo();
  assert.equal(await runCommand(["eval", "--help"], io), 0);
  assert.match(stdout.text, /^lowrank eval: how good a model is/);
  assert.ok(stdout.text.split("\n").every((line) => line.length <= 100), "a line is too wide");
  assert.equal(await runCommand(["eval"], io), 2);
});
