import assert from "node:assert/strict";
import { exampleJob } from "../../src/cli/example_job.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import defaults from "../../web/defaults.json" with { type: "json" };

Deno.test("the page's job is the one that `lowrank train` runs by itself, but for where its files lie", () => {
  const where = {
    base_model: "models/lowrank-tiny",
    training_data_path: "data/signals.jsonl",
    eval_data_path: "data/signals.eval.jsonl",
  };
  const shown = { logging_steps: 1, sample_steps: 0.1, save: "adapter", overwrite: false };
  const example = { ...exampleJob("/checkout/", "/checkout"), ...where, ...shown };
  assert.deepEqual(parseFineTuneJobConfig(defaults), parseFineTuneJobConfig(example));
});
