import assert from "node:assert/strict";
import { loraUpdates, readAdapter } from "../src/checkpoint/adapter.ts";
import { addLowRank } from "../src/checkpoint/merge.ts";
import { parseFineTuneJobConfig } from "../src/config.ts";
import { createFineTuneJob, type FineTuneJobDeps } from "../src/fine_tune_job.ts";
import type { TrainingEvent } from "../src/job.ts";
import { totalBytes } from "../src/memory_plan.ts";
import { ModelManager } from "../src/model_manager.ts";
import { type Folder, readText } from "../src/storage.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { arithmetic, assertClose } from "./helpers/close.ts";
import { device, onGpu } from "./helpers/device.ts";
import { wide } from "./helpers/gradient.ts";
import { tinyGguf } from "./helpers/tiny_gguf.ts";
import { type TinyModelOptions, writeTinyModel } from "./helpers/tiny_model.ts";

type Wire = Record<string, unknown>;

const ROWS = Array.from({ length: 10 }, (_, i) => `{"text":"row ${i}${"ab".repeat(i % 4)}"}\n`).join("");

/** A disk in memory: a base model in `base`, rows in `train.jsonl`. */
async function diskOf(model: TinyModelOptions = {}): Promise<MemoryFolder> {
  const root = new MemoryFolder("disk", { "train.jsonl": ROWS });
  await writeTinyModel(root.folder("base"), model);
  return root;
}

function folderOf(root: MemoryFolder, uri: string): Folder {
  const path = uri.split("/").filter((part) => part !== "" && part !== ".").join("/");
  return path === "" ? root : root.folder(path);
}

async function run(root: MemoryFolder, wire: Wire, deps: Partial<FineTuneJobDeps> = {}) {
  const config = parseFineTuneJobConfig({
    base_model: "base",
    output_model_name: "ember",
    training_data_path: "train.jsonl",
    lora_r: 4,
    max_steps: 3,
    learning_rate: 0.01,
    ...wire,
  });
  const files = (uri: string) => folderOf(root, uri);
  const job = createFineTuneJob(config, { files, ...(device ? { device } : {}), ...deps });
  return await Array.fromAsync(job.run());
}

const ofType = <T extends TrainingEvent["type"]>(events: readonly TrainingEvent[], type: T) =>
  events.filter((event): event is Extract<TrainingEvent, { type: T }> => event.type === type);

/** A map of the merged model, and the same of its base, quantised and as it is, with the update added. */
async function mergedMap(root: MemoryFolder, name: string) {
  const manager = new ModelManager((uri) => folderOf(root, uri));
  const update = loraUpdates(await readAdapter(root.folder("runs/ember/adapter"))).get(name)!;
  const { quantization } = parseFineTuneJobConfig({
    base_model: "base",
    output_model_name: "ember",
    training_data_path: "train.jsonl",
    quantization: "4bit",
  });
  const base = await manager.open("base");
  const expected = async (weights: typeof base.weights) => {
    const values = await weights.readF32(name);
    addLowRank(values, Float64Array.from(update.loraA), update.loraB, update.rank, update.scaling);
    return wide(values);
  };
  return {
    got: await (await manager.open("runs/ember/merged")).weights.readF32(name),
    quantized: await expected(ModelManager.quantized(base, quantization).weights),
    original: await expected(base.weights),
  };
}

const DOWN = "model.layers.1.mlp.down_proj.weight";
const F32_SUM = arithmetic("f32", "f32", 4);

for (const mergeBase of ["quantized", "original"] as const) {
  onGpu(
    `run() on a 4-bit base merges onto its ${mergeBase} weights and tells what that changes`,
    async () => {
      const root = await diskOf();
      const events = await run(root, { quantization: "4bit", merge_base: mergeBase });
      const [compared] = ofType(events, "compared");
      const { adapter, quantized, original } = compared!.losses;
      assert.equal(compared!.mergeBase, mergeBase);
      assert.equal(compared!.rows, 1);
      assert.ok(Math.abs(quantized - adapter) < 1e-4 * adapter, `${quantized} and ${adapter}`);
      assert.ok(Math.abs(original - adapter) > 1e-3 * adapter, `${original} and ${adapter}`);
      assert.equal(ofType(events, "evaluated").at(-1)!.evalLoss, adapter);

      const map = await mergedMap(root, DOWN);
      assertClose(map.got, map[mergeBase], F32_SUM);
      const other = mergeBase === "quantized" ? map.original : map.quantized;
      assert.throws(() => assertClose(map.got, other, F32_SUM));

      const output = root.folder("runs/ember");
      const record = JSON.parse(await readText(output, "run.json"));
      const { rows, tokens, losses: loss } = compared!;
      assert.deepEqual(record.merged, { merge_base: mergeBase, rows, tokens, loss });
      assert.equal(record.base_model.quantization, "nf4_double");
      const cards = await Promise.all(
        ["adapter", "merged"].map((name) => readText(output.folder(name), "README.md")),
      );
      for (const card of cards) assert.ok(card.includes("| base weights | linear maps in `nf4_double` |"));
      const here = (base: string) => base === mergeBase ? " (this model)" : "";
      assert.ok(
        cards[1]!.includes(`| merged onto the quantised values${here("quantized")} | ${quantized.toFixed(4)} |
| merged onto the original weights${here("original")} | ${original.toFixed(4)} |`),
      );
    },
  );
}

onGpu("run() writes the merged model of a 4-bit base in the base's own dtype", async () => {
  const root = await diskOf({ dtype: "BF16" });
  const events = await run(root, { quantization: "4bit" });
  assert.equal(ofType(events, "compared").length, 1);
  const merged = await new ModelManager((uri) => folderOf(root, uri)).open("runs/ember/merged");
  assert.deepEqual(new Set([...merged.weights.infos.values()].map(({ dtype }) => dtype)), new Set(["BF16"]));
});

onGpu("run() on a base of plain values compares nothing, whatever merge_base says", async () => {
  const root = await diskOf();
  const events = await run(root, { merge_base: "original" });
  assert.deepEqual(ofType(events, "compared"), []);
  const record = JSON.parse(await readText(root.folder("runs/ember"), "run.json"));
  assert.deepEqual([record.merged, record.base_model.quantization], [null, null]);
});

onGpu(
  "run() with dryRun plans 4-bit, 8-bit and plain weights side by side, and allocates nothing",
  async () => {
    const root = await diskOf();
    const planned = async (wire: Wire) => {
      const events = await run(root, wire, { dryRun: true });
      return { plans: ofType(events, "planned")[0]!.quantizations, events };
    };
    const { plans } = await planned({});
    assert.deepEqual(plans.map(({ quantization }) => quantization), ["none", "8bit", "4bit"]);
    for (const { quantization, totalBytes: total, weightBytes } of plans) {
      const { summary: { memory } } = ofType((await planned({ quantization })).events, "started")[0]!;
      assert.equal(total, totalBytes(memory), quantization);
      const weights = memory.filter(({ what }) => what.startsWith("base weights"));
      assert.equal(weightBytes, totalBytes(weights), quantization);
    }
    const [none, , four] = plans.map(({ weightBytes }) => weightBytes);
    assert.ok(four! < none!);
  },
);

onGpu("run() with dryRun says which weights fit, also where those that are asked for do not", async () => {
  const root = await diskOf();
  const [none, eight] = ofType(
    await run(root, { gradient_checkpointing: "on" }, { dryRun: true }),
    "planned",
  )[0]!.quantizations;
  const told: TrainingEvent[] = [];
  const config = parseFineTuneJobConfig({
    base_model: "base",
    output_model_name: "ember",
    training_data_path: "train.jsonl",
    lora_r: 4,
    gradient_checkpointing: "on",
    memory_limit_gb: (none!.totalBytes - 1) / 1e9,
  });
  const job = createFineTuneJob(config, {
    files: (uri) => folderOf(root, uri),
    dryRun: true,
    ...(device ? { device } : {}),
  });
  await assert.rejects(async () => {
    for await (const event of job.run()) told.push(event);
  }, /memory_limit_gb allows/);
  assert.ok(eight!.totalBytes < none!.totalBytes);
  const fits = ofType(told, "planned")[0]!.quantizations.map((plan) => plan.fits);
  assert.deepEqual(fits.slice(0, 2), [false, true]);
});

onGpu("run() trains on a GGUF base as it is packed, says so, and plans no other quantisation", async () => {
  const { bytes } = await tinyGguf("Q8_0");
  const root = new MemoryFolder("disk", { "train.jsonl": ROWS, "tiny.gguf": bytes });
  const wire = { base_model: "tiny.gguf", max_steps: 1 };
  assert.deepEqual(ofType(await run(root, wire, { dryRun: true }), "planned"), []);
  const events = await run(root, wire);
  assert.deepEqual(ofType(events, "compared"), []);
  const record = JSON.parse(await readText(root.folder("runs/ember"), "run.json"));
  assert.equal(record.base_model.quantization, "Q8_0");
});
