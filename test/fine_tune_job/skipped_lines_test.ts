import assert from "node:assert/strict";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { SharedReadings } from "../../src/data/shared_readings.ts";
import { DatasetFormatError } from "../../src/errors.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import { readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { device, onGpu } from "../helpers/device.ts";
import { folderAt } from "../helpers/job_disk.ts";

const MODEL = new LocalFolder(new URL("../../examples/tiny/model", import.meta.url).pathname);
const row = (word: string) => `{"prompt": "Signal ${word}.", "completion": "${[...word].join("-")}"}\n`;
const WORDS = ["LAMP", "SHORE", "TIDE", "WAVE", "BELL", "BUOY", "MAST", "STERN"];
const GOOD = WORDS.map(row),
  MIXED = [GOOD[0], "nope\n", ...GOOD.slice(1, 5), '{"prompt": 1}\n', ...GOOD.slice(5)];

/** Two steps on some rows: the adapter, run.json and the warnings. */
async function twoSteps(
  content: string,
  options: Readonly<Record<string, unknown>>,
  readings?: SharedReadings,
) {
  const root = new MemoryFolder("disk", { "rows.jsonl": content });
  const config = parseFineTuneJobConfig({
    base_model: "model",
    output_model_name: "bell",
    training_data_path: "rows.jsonl",
    ...{ train_test_split: 0.25, max_length: 32, batch_size: 2, max_steps: 2, lora_r: 2, save: "adapter" },
    ...options,
  });
  const files = (uri: string) =>
    uri === "model" ? MODEL : uri === "" || uri === "." ? root : folderAt(root, uri);
  const deps = { files, device: device!, ...(readings ? { readings } : {}) };
  const events = await Array.fromAsync(createFineTuneJob(config, deps).run());
  const run = root.folder("runs").folder("bell"),
    file = await run.folder("adapter").open("adapter_model.safetensors");
  return {
    adapter: await file.read(0, file.size),
    record: JSON.parse(await readText(run, "run.json")),
    warnings: events.flatMap((event) => event.type === "warning" ? [event.message] : []),
  };
}

onGpu("a run that skips bad lines says so, and trains the adapter of the good ones", async () => {
  await assert.rejects(twoSteps(MIXED.join(""), {}), DatasetFormatError);
  const skipped = await twoSteps(MIXED.join(""), { on_bad_line: "skip" });
  assert.ok(
    skipped.warnings.some((message) => /skipped 2 lines, which cannot be used .*lines 2, 7/.test(message)),
  );
  const [data] = skipped.record.data;
  assert.deepEqual([data.rows, data.kept, data.skipped], [8, 8, 2]);
  assert.deepEqual(data.skipped_lines.map(({ line }: { line: number }) => line), [2, 7]);
  const good = await twoSteps(GOOD.join(""), {});
  assert.equal("skipped" in good.record.data[0], false);
  assert.deepEqual(skipped.adapter, good.adapter);
});

onGpu("a run trains the same adapter, bit for bit, on rows that others read before it", async () => {
  const readings = new SharedReadings();
  const alone = await twoSteps(GOOD.join(""), {}), first = await twoSteps(GOOD.join(""), {}, readings);
  const second = await twoSteps(GOOD.join(""), { max_length: 20 }, readings),
    cut = await twoSteps(GOOD.join(""), {
      max_length: 20,
    });
  assert.deepEqual(first.adapter, alone.adapter);
  assert.deepEqual(second.adapter, cut.adapter);
  assert.notDeepEqual(cut.adapter, alone.adapter);
});
