import assert from "node:assert/strict";
import { writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { RunLibrary } from "../../web/worker/run_library.ts";

const record = (status: string, started_at: string, steps = 4) =>
  JSON.stringify({
    status,
    started_at,
    steps,
    total_steps: 9,
    base_model: { path: "models/tiny" },
    eval_loss_before: 4,
    eval_loss_after: null,
    config: { lora_r: 8 },
  });

async function runsOf(records: Readonly<Record<string, string>>): Promise<MemoryFolder> {
  const root = new MemoryFolder("root");
  for (const [name, text] of Object.entries(records)) {
    await writeFile(root.folder(`runs/${name}`), "run.json", text);
  }
  return root;
}

Deno.test("RunLibrary lists the latest run first, leaves out a damaged record, and tells what goes on", async () => {
  const root = await runsOf({
    old: record("completed", "2026-01-01T00:00:00Z", 9),
    short: record("completed", "2026-01-02T00:00:00Z"),
    torn: "{",
    young: record("running", "2026-02-01T00:00:00Z"),
  });
  for (const name of ["old", "short", "young"]) {
    for (const step of [2, 4]) {
      await writeFile(root.folder(`runs/${name}/checkpoint-${step}`), "resume.json", "{}");
    }
  }
  const runs = await new RunLibrary(root).list();
  assert.deepEqual(runs.map(({ name, resumable }) => [name, resumable]), [["young", 4], ["short", 4], [
    "old",
    null,
  ]]);
});

Deno.test("RunLibrary offers the last checkpoint as the adapter of a run that was stopped", async () => {
  const root = await runsOf({ young: record("cancelled", "2026-02-01T00:00:00Z") }),
    library = new RunLibrary(root);
  const run = root.folder("runs/young");
  await writeFile(run.folder("checkpoint-4"), "adapter_config.json", "{}");
  await writeFile(run, "metrics.jsonl", '{"step":1,"loss":3}\n{"step":2,"lo');
  const { files, metrics } = await library.open("young");
  assert.deepEqual(files.map(({ path }) => path), [
    "checkpoint-4/adapter_config.json",
    "metrics.jsonl",
    "run.json",
  ]);
  assert.deepEqual(metrics.map(({ step }) => step), [1]);
  assert.equal(await (await library.read("young", "checkpoint-4/adapter_config.json")).text(), "{}");
  await writeFile(run.folder("adapter"), "adapter_config.json", "{}");
  assert.equal((await library.open("young")).files[0]!.path, "adapter/adapter_config.json");
  await library.remove("young");
  assert.deepEqual(await library.list(), []);
});

Deno.test("RunLibrary removes no run that goes on", async () => {
  const root = await runsOf({ young: record("running", "2026-02-01T00:00:00Z") }),
    library = new RunLibrary(root);
  const lock = await root.folder("runs/young").lock();
  await assert.rejects(library.remove("young"), /Cannot remove "young" as it goes on in another tab/);
  assert.equal((await library.list()).length, 1);
  await lock!.release();
  await library.remove("young");
  assert.deepEqual(await library.list(), []);
});

Deno.test("RunLibrary gives a run another name in all its records, and refuses one that is taken or none", async () => {
  const root = await runsOf({
    old: record("cancelled", "2026-01-01T00:00:00Z"),
    other: record("completed", "2026-01-02T00:00:00Z", 9),
  });
  const library = new RunLibrary(root), old = root.folder("runs/old");
  await writeFile(old.folder("checkpoint-4"), "resume.json", "{}");
  await writeFile(old, "training_config.json", '{"output_model_name":"old","lora_r":8}');
  await assert.rejects(
    library.rename("old", "other"),
    /Cannot call the run "other" as another one is called so/,
  );
  await assert.rejects(
    library.rename("old", "a b"),
    /Cannot call a run so: its name must be letters, digits/,
  );
  await assert.rejects(library.rename("none", "new"), { name: "StorageNotFoundError" });
  const held = await old.lock?.();
  if (held) await assert.rejects(library.rename("old", "new"), /while it is in use/);
  await held?.release();
  await library.rename("old", "new");
  assert.deepEqual((await library.list()).map(({ name, resumable }) => [name, resumable]), [["other", null], [
    "new",
    4,
  ]]);
  const { entry: { config } } = await library.open("new");
  assert.deepEqual(config, { lora_r: 8, output_model_name: "new", output_dir: "runs/new" });
  const text = await (await library.read("new", "training_config.json")).text();
  assert.deepEqual(JSON.parse(text), { output_model_name: "new", lora_r: 8, output_dir: "runs/new" });
});

Deno.test("RunLibrary glances at each run, and leaves out one that cannot be read", async () => {
  const root = await runsOf({ young: record("cancelled", "2026-02-01T00:00:00Z"), torn: "{}" });
  const rows = [1, 2].map((step) =>
    JSON.stringify({ step, loss: 4 / step, eval_loss: null, tokens: 10 * step, tokens_per_second: 5 })
  );
  await writeFile(root.folder("runs/young"), "metrics.jsonl", `${rows.join("\n")}\n`);
  await writeFile(root.folder("runs/torn"), "metrics.jsonl", "no\nJSON\n");
  const glances = await new RunLibrary(root).glances();
  assert.deepEqual(glances.map(({ name, spark, seconds }) => ({ name, spark, seconds })), [{
    name: "young",
    spark: [4, 2],
    seconds: 4,
  }]);
  assert.ok(glances[0]!.bytes > 100, `${glances[0]!.bytes}`);
});
