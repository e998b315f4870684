import assert from "node:assert/strict";
import { parseFineTuneJobConfig } from "../src/config.ts";
import { GpuMemoryError } from "../src/errors.ts";
import {
  type BatchSizes,
  checkMemory,
  chooseRecompute,
  memoryRows,
  smallerBatches,
  totalBytes,
} from "../src/memory_plan.ts";
import { ModelManager } from "../src/model_manager.ts";
import type { BatchLimits } from "../src/models/trainable_model.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { ModelTrainer } from "../src/trainer.ts";
import { onGpu } from "./helpers/device.ts";
import { writeTinyModel } from "./helpers/tiny_model.ts";

const SOFTWARE = { name: "a processor", software: true };
const HARDWARE = { name: "a card", software: false };

/** A run of 50 MB, and of 10 MB for each row of 64 tokens: training counts, evaluation takes half as much. */
function rowsOf({ batchSize, evalBatchSize, length }: BatchSizes) {
  const perRow = 10e6 * length / 64;
  return [
    { what: "base weights", bytes: 50e6 },
    { what: "activations", bytes: perRow * Math.max(batchSize, evalBatchSize / 2) },
  ];
}

function check(sizes: BatchSizes, limitGb: number | null, gpu = HARDWARE, availableBytes?: number): void {
  checkMemory(rowsOf(sizes), sizes, gpu, { limitGb, availableBytes }, rowsOf);
}

Deno.test("checkMemory() accepts a plan up to the limit and refuses one byte more", () => {
  const sizes = { batchSize: 4, evalBatchSize: 4, length: 64 };
  check(sizes, 0.09);
  check(sizes, null);
  assert.throws(() => check(sizes, 0.089999999), GpuMemoryError);
});

Deno.test("checkMemory() says what is needed, what for, what is allowed, and the first settings that fit", () => {
  const messages = ([batchSize, evalBatchSize, length, limitGb]: [number, number, number, number]) => {
    let message = "";
    try {
      check({ batchSize, evalBatchSize, length }, limitGb);
    } catch (error) {
      message = (error as Error).message;
    }
    return message;
  };
  assert.equal(
    messages([8, 4, 64, 0.1]),
    'The run needs 130 MB on "a card" (base weights 50 MB, activations 80 MB) and memory_limit_gb allows 100 MB: ' +
      "set batch_size to 4 (and raise gradient_accumulation_steps to make up for it)",
  );
  assert.match(messages([8, 8, 64, 0.061]), /: set batch_size to 1, eval_batch_size to 1 \(and raise/);
  assert.match(messages([1, 16, 64, 0.071]), /: set eval_batch_size to 4$/);
  assert.match(messages([2, 1, 256, 0.061]), /: set batch_size to 1, max_length to 64 \(and raise/);
  assert.match(messages([1, 1, 256, 0.0525]), /: set max_length to 16$/);
  assert.match(messages([1, 1, 256, 0.05]), /allows 50 MB: lower lora_r, or use a smaller base model$/);
});

Deno.test("checkMemory() holds software adapters, and them alone, against the machine's free memory", () => {
  const sizes = { batchSize: 4, evalBatchSize: 4, length: 64 };
  check(sizes, null, HARDWARE, 60e6);
  assert.throws(
    () => check(sizes, null, SOFTWARE, 80e6),
    /and this machine has free 80 MB: set batch_size to 2/,
  );
  assert.throws(() => check(sizes, 0.07, SOFTWARE, 80e6), /memory_limit_gb allows 70 MB/);
});

Deno.test("chooseRecompute() takes the fewest blocks that fit, all where none does, and does as it is told", () => {
  const bytesOf = (recompute: number) => 1000 - 50 * recompute;
  const choose = (setting: "auto" | "on" | "off", allowed: number) =>
    chooseRecompute(setting, 12, allowed, bytesOf);
  assert.deepEqual([1000, 999, 950, 949, 700, 400, 399].map((allowed) => choose("auto", allowed)), [
    0,
    1,
    1,
    2,
    6,
    12,
    12,
  ]);
  assert.deepEqual([choose("off", 0), choose("on", Infinity)], [0, 12]);
});

Deno.test("smallerBatches() halves the rows before it shortens them, down to one row of 16 tokens", () => {
  const all = [...smallerBatches({ batchSize: 5, evalBatchSize: 2, length: 192 })];
  assert.deepEqual(all.map(({ batchSize, evalBatchSize, length }) => [batchSize, evalBatchSize, length]), [
    [2, 2, 192],
    [1, 1, 192],
    [1, 1, 128],
    [1, 1, 64],
    [1, 1, 32],
    [1, 1, 16],
  ]);
});

const LORA = { rank: 4, alpha: 8, targetModules: "all-linear" };

onGpu("memoryRows() knows before anything is allocated what training will have taken", async (device) => {
  const folder = new MemoryFolder("tiny");
  await writeTinyModel(folder);
  const manager = new ModelManager(() => folder);
  const base = await manager.open("tiny");
  const planned = (limits: BatchLimits) => {
    const model = manager.plan(base, LORA, { ...device, variants: chooseVariants(device.gpu), limits });
    model.plan();
    return model;
  };
  const bytesOf = (limits: BatchLimits) => totalBytes(memoryRows(planned(limits)));

  const model = planned({ rows: 4, trainRows: 2, length: 32 });
  const rows = new Map(memoryRows(model).map(({ what, bytes }) => [what, bytes]));
  const adapter = rows.get("adapter")!;
  assert.ok(
    adapter >= 4 * model.pool.size && adapter < 4 * model.pool.size + 256 * model.pool.parameters.length,
  );
  assert.deepEqual([rows.get("gradients"), rows.get("optimizer moments")], [adapter, 2 * adapter]);
  const arena = model.resources.arena.bytes;
  assert.equal(
    totalBytes(memoryRows(model)),
    rows.get("base weights")! + 4 * adapter + arena.buffers + arena.textures,
  );

  // what an optimizer does not keep is not planned
  model.pool.momentCount = 1;
  assert.equal(
    memoryRows(model).find(({ what }) => what === "optimizer moments")!.bytes,
    adapter,
  );
  model.pool.momentCount = 2;

  // fewer rows to train on take less, though as many are evaluated
  assert.ok(bytesOf({ rows: 4, trainRows: 1, length: 32 }) < bytesOf({ rows: 4, trainRows: 2, length: 32 }));
  assert.ok(bytesOf({ rows: 4, trainRows: 2, length: 16 }) < bytesOf({ rows: 4, trainRows: 2, length: 32 }));

  model.allocate();
  await model.decoder.load(base.weights);
  await manager.initialise(model, { kind: "seed", seed: 1 });
  const { training } = parseFineTuneJobConfig({
    base_model: "tiny",
    output_model_name: "run",
    training_data_path: "train.jsonl",
    batch_size: 2,
    max_steps: 3,
  });
  const row = (length: number) => {
    const ids = Int32Array.from({ length }, (_, i) => i + 3);
    return { inputIds: ids, labels: ids };
  };
  const data = { train: [row(5), row(30), row(12), row(7)], eval: [row(31), row(9)], padId: 0 };
  for await (const _ of new ModelTrainer(model, data, training).train(new AbortController().signal));
  const { buffers, textures } = model.resources.arena.bytes;
  assert.deepEqual({ buffers, textures }, arena);
  model.destroy();
});
