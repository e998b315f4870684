import assert from "node:assert/strict";
import type { TrainingEvent } from "../src/job.ts";
import { readConfigFile } from "../src/cli/config_file.ts";
import { resolveConfig } from "../src/cli/sources.ts";
import { parseFineTuneJobConfig, toWire } from "../src/config.ts";
import {
  METRICS_FILE,
  MetricsLog,
  RUN_FILE,
  type RunRecord,
  TRAINING_CONFIG_FILE,
  writeRunRecord,
  writeTrainingConfig,
} from "../src/run_files.ts";
import { readText } from "../src/storage.ts";
import { MemoryFolder } from "../src/storage/memory.ts";

function step(number: number): TrainingEvent {
  return {
    type: "step",
    step: number,
    totalSteps: 9,
    epoch: number / 4,
    loss: 2 / number,
    learningRate: 1e-4,
    gradNorm: 0.5,
    tokenAccuracy: 0.25,
    trainedTokens: 10,
    tokens: 20 * number,
    tokensPerSecond: 33,
    etaSeconds: 1,
  };
}

function evaluated(number: number, evalLoss: number): TrainingEvent {
  return {
    type: "evaluated",
    step: number,
    epoch: number / 4,
    evalLoss,
    evalTokens: 5,
    evalTokenAccuracy: 0.75,
  };
}

async function rowsAfter(events: readonly TrainingEvent[]): Promise<Record<string, unknown>[]> {
  const folder = new MemoryFolder();
  const log = new MetricsLog(folder);
  for (const event of events) await log.add(event);
  await log.flush();
  const text = await readText(folder, METRICS_FILE);
  assert.ok(text.endsWith("\n"));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("MetricsLog writes one line a step, with the evaluation that follows it", async () => {
  const rows = await rowsAfter([evaluated(0, 3), step(1), step(2), evaluated(2, 1.5), step(4)]);
  assert.deepEqual(rows.map(({ step, loss, eval_loss }) => [step, loss, eval_loss]), [
    [0, null, 3],
    [1, 2, null],
    [2, 1, 1.5],
    [4, 0.5, null],
  ]);
  const keys = [
    "step",
    "epoch",
    "loss",
    "eval_loss",
    "token_accuracy",
    "eval_token_accuracy",
    "learning_rate",
    "grad_norm",
    "tokens",
    "tokens_per_second",
  ];
  for (const row of rows) assert.deepEqual(Object.keys(row), keys);
  assert.deepEqual(rows[2], {
    step: 2,
    epoch: 0.5,
    loss: 1,
    eval_loss: 1.5,
    token_accuracy: 0.25,
    eval_token_accuracy: 0.75,
    learning_rate: 1e-4,
    grad_norm: 0.5,
    tokens: 40,
    tokens_per_second: 33,
  });
});

Deno.test("MetricsLog gives an evaluation between two reports a line of its own", async () => {
  const rows = await rowsAfter([step(2), evaluated(3, 1), step(4)]);
  assert.deepEqual(rows.map(({ step, loss, eval_loss }) => [step, loss, eval_loss]), [
    [2, 1, null],
    [3, null, 1],
    [4, 0.5, null],
  ]);
});

Deno.test("MetricsLog writes a step once, and nothing for other events", async () => {
  const folder = new MemoryFolder();
  const log = new MetricsLog(folder);
  await log.add({ type: "phase", message: "checking the data" });
  await log.flush();
  assert.deepEqual(await folder.list(), []);
  await log.add(step(1));
  assert.deepEqual(await folder.list(), []); // an evaluation may follow
  await log.flush();
  await log.flush();
  assert.equal((await readText(folder, METRICS_FILE)).split("\n").length, 2);
});

Deno.test("writeRunRecord() replaces the whole file, its version first", async () => {
  const record: RunRecord = {
    status: "running",
    config: { lora_r: 8 },
    seed: 42,
    started_at: "2026-01-02T03:04:05.000Z",
    finished_at: null,
    versions: { lowrank: "0.1.0" },
    adapter: { name: "a card", software: false },
    base_model: {
      path: "base",
      model_type: "llama",
      parameters: 10,
      trainable_parameters: 2,
      quantization: null,
    },
    data: [],
    micro_batch: { rows: 2, length: 32, recomputed_blocks: 0 },
    total_steps: 3,
    steps: 0,
    exact_match_before: null,
    exact_match_after: null,
    eval_loss_before: null,
    eval_loss_after: null,
    merged: null,
    error: null,
  };
  const folder = new MemoryFolder();
  await writeRunRecord(folder, record);
  await writeRunRecord(folder, { ...record, status: "failed", error: "out of paper" });
  const text = await readText(folder, RUN_FILE);
  assert.ok(text.startsWith('{\n  "version": 1,\n  "status": "failed",') && text.endsWith("}\n"));
  assert.deepEqual(JSON.parse(text), { version: 1, ...record, status: "failed", error: "out of paper" });
});

Deno.test("training_config.json, given as --config, is the same job again", async () => {
  const wire = toWire(parseFineTuneJobConfig({
    base_model: "base",
    output_model_name: "ember",
    training_data_path: ["a.jsonl", "b.jsonl"],
    target_modules: ["q_proj", "v_proj"],
    rank_pattern: { q_proj: 4 },
    quantization: "4bit",
    gcs_bucket: "my-bucket",
    lora_r: 8,
  }));
  const folder = new MemoryFolder();
  await writeTrainingConfig(folder, wire, { lowrank: "1.2.3" });
  const path = TRAINING_CONFIG_FILE;
  const options = await readConfigFile(path, (name) => readText(folder, name));
  const again = resolveConfig({ flags: {}, env: {}, file: { path, options } });
  assert.deepEqual(toWire(again.config), wire);
  assert.equal(again.isExample, false);
  const other = resolveConfig({ flags: { lora_r: "2" }, env: {}, file: { path, options } });
  assert.deepEqual(toWire(other.config), { ...wire, lora_r: 2 });
});
