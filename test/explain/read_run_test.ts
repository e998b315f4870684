import assert from "node:assert/strict";
import { ModelFormatError, StorageNotFoundError } from "../../src/errors.ts";
import { readRun } from "../../src/explain/read_run.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

const RECORD = {
  version: 1,
  status: "completed",
  config: {},
  adapter: { name: "a card", software: false },
  base_model: { path: "base" },
  micro_batch: { rows: 1, length: 16, recomputed_blocks: 0 },
  versions: {},
};

const run = (record: unknown, files: Record<string, string> = {}) =>
  new MemoryFolder("runs/x", { "run.json": JSON.stringify(record), ...files });

Deno.test("readRun() gives record and metrics, and no metrics where there are none yet", async () => {
  const lines = '{"step":1,"loss":2}\n{"step":2,"loss":1}\n';
  const { uri, record, metrics } = await readRun(run(RECORD, { "metrics.jsonl": lines }));
  assert.deepEqual([uri, record.base_model.path], ["runs/x", "base"]);
  assert.deepEqual(metrics.map(({ step, loss }) => [step, loss]), [[1, 2], [2, 1]]);
  assert.deepEqual((await readRun(run(RECORD))).metrics, []);
});

Deno.test("readRun() leaves out the line that a running job is writing, and refuses it of one that has ended", async () => {
  const files = { "metrics.jsonl": '{"step":1}\n{"st' };
  assert.equal((await readRun(run({ ...RECORD, status: "running" }, files))).metrics.length, 1);
  await assert.rejects(readRun(run(RECORD, files)), (error: Error) => {
    assert.ok(error instanceof ModelFormatError);
    assert.match(error.message, /^Cannot read "runs\/x\/metrics\.jsonl line 2" as JSON: /);
    return true;
  });
});

Deno.test("readRun() says what is no run's folder", async () => {
  await assert.rejects(readRun(new MemoryFolder("runs/x", { "notes.txt": "" })), (error: Error) => {
    assert.ok(error instanceof StorageNotFoundError);
    assert.match(
      error.message,
      /Cannot find a run at "runs\/x": the folder holds notes\.txt, .* name the output_dir/,
    );
    return true;
  });
  await assert.rejects(readRun(new MemoryFolder("nowhere")), /the folder is empty or does not exist/);
});

Deno.test("readRun() refuses a damaged, newer or older run.json", async () => {
  const cases: [string, RegExp][] = [
    ["{", /Cannot read "runs\/x\/run\.json" as JSON/],
    ["[1]", /holds \[1\] in place of an object/],
    [JSON.stringify({ ...RECORD, version: 2 }), /its version is 2 and this program knows up to 1/],
    [JSON.stringify({ ...RECORD, version: undefined }), /its version is undefined/],
    [
      JSON.stringify({ ...RECORD, micro_batch: undefined, config: 1 }),
      /lacks config, micro_batch, as runs of earlier builds do; train again/,
    ],
  ];
  for (const [text, message] of cases) {
    await assert.rejects(readRun(new MemoryFolder("runs/x", { "run.json": text })), (error: Error) => {
      assert.ok(error instanceof ModelFormatError, error.message);
      assert.match(error.message, message);
      return true;
    });
  }
});
