import assert from "node:assert/strict";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { DataManager } from "../../src/data_manager.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { fileAt, readText } from "../../src/storage.ts";
import { device, onGpu } from "../helpers/device.ts";
import { folderAt } from "../helpers/job_disk.ts";

const MODEL = new LocalFolder(new URL("../../examples/tiny/model", import.meta.url).pathname);
const SHARED = new LocalFolder(new URL("../../../shared/data", import.meta.url).pathname);
const isHere = await SHARED.exists("names.text.jsonl");

/** A real file of each format, and options that it needs. */
const FILES: Readonly<Record<string, readonly [file: string, options?: Readonly<Record<string, unknown>>]>> =
  {
    text: ["names.text.jsonl"],
    messages: ["gsm8k-test.messages.jsonl"],
    instruction: ["identity.instruction.jsonl"],
    input_output: ["humaneval.io.jsonl"],
    sharegpt: ["identity.sharegpt.jsonl"],
    prompt_completion: ["gsm8k-test.io.jsonl", { column_mapping: { prompt: "input", completion: "output" } }],
  };

for (const [format, [file, options = {}]] of Object.entries(FILES)) {
  const name = `two steps of ${format} rows that people wrote: ${file}`;
  if (!isHere) Deno.test({ name: `${name} (no shared data)`, ignore: true, fn: () => {} });
  else {
    onGpu(name, async () => {
      const root = new MemoryFolder("disk");
      const config = parseFineTuneJobConfig({
        base_model: "model",
        output_model_name: "two-steps",
        training_data_path: `shared/${file}`,
        train_test_split: 0,
        max_length: 256,
        batch_size: 2,
        max_steps: 2,
        lora_r: 2,
        learning_rate: 1e-3,
        save: "adapter",
        ...options,
      });
      const files = (uri: string) =>
        uri === "model" ? MODEL : uri === "shared/" ? SHARED : folderAt(root, uri);
      const read = await new DataManager({ files: (uri) => fileAt(files, uri) })
        .check({ ...config.job, ...config.training }, 0);
      assert.deepEqual(read.train.report.formats, [format]);
      const events = await Array.fromAsync(createFineTuneJob(config, { files, device: device! }).run());
      const steps = events.flatMap((event) => event.type === "step" ? [event] : []);
      assert.deepEqual(steps.map(({ step }) => step), [1, 2]);
      for (const { loss, gradNorm, trainedTokens } of steps) {
        assert.ok(
          loss > 0 && loss < 20 && gradNorm > 0 && trainedTokens > 0,
          `${loss} ${gradNorm} ${trainedTokens}`,
        );
      }
      const run = JSON.parse(await readText(root.folder("runs").folder("two-steps"), "run.json"));
      assert.equal(run.status, "completed");
      const [{ rows, kept, dropped }] = run.data;
      assert.equal(kept + dropped, rows);
      assert.ok(rows >= 91 && kept > 10, `${kept} of ${rows} rows`);
    });
  }
}
