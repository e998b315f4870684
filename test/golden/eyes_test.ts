import assert from "node:assert/strict";
import { SafetensorsFile, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { ModelManager } from "../../src/model_manager.ts";
import type { ModelBatch } from "../../src/models/trainable_model.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { assertClose, exact, tensor } from "../helpers/close.ts";
import { onGpu } from "../helpers/device.ts";
import type { OpenDevice } from "../../src/fine_tune_job.ts";
import { EYES, eyesAdapter, mergeEyes } from "./eyes.ts";
import { formulaBatch } from "./families_fixture.ts";
import { openModel } from "./model_fixture.ts";
import { loraUpdates, writeAdapter } from "../../src/checkpoint/adapter.ts";

const WEIGHTS = "model.safetensors";
const BATCH: ModelBatch = formulaBatch([24, 17], 67);
const LIMITS = { rows: 2, length: 24 };

/** Names of transformers' modules for those of published files. */
function moduleName(name: string): string {
  return name.replace(/^language_model\.model\./, "model.language_model.")
    .replace(/^language_model\.lm_head\./, "lm_head.")
    .replace(/^(vision_tower|multi_modal_projector)\./, "model.$1.");
}

/** The model with other names, and integers beside its weights as some files have them. */
async function renamed(): Promise<Folder> {
  const folder = new MemoryFolder("renamed"), file = await SafetensorsFile.open(EYES, WEIGHTS);
  const tensors = [...file.infos.values()].map(({ name, dtype, shape }) => {
    return { name: moduleName(name), dtype, shape, data: () => file.readRaw(name) };
  });
  const ids = "model.vision_tower.vision_model.embeddings.position_ids";
  await writeSafetensors(folder, WEIGHTS, [
    ...tensors,
    { name: ids, dtype: "I64", shape: [1, 4], data: new Uint8Array(32) },
  ]);
  await file.close();
  await writeFile(folder, "config.json", await readText(EYES, "config.json"));
  return folder;
}

async function logitsOf({ gpu, pipelines }: OpenDevice, base: Folder, adapter: Folder | null) {
  const { model, close } = await openModel(gpu, base, adapter, LIMITS, { pipelines });
  try {
    return await model.logits(BATCH);
  } finally {
    await close();
  }
}

onGpu(
  "a Gemma 3 with eyes computes the same by the names of published files and by those of modules",
  async (device) => {
    const wanted = await logitsOf(device, EYES, null);
    assertClose(await logitsOf(device, await renamed(), null), wanted, exact());
  },
);

onGpu("an adapter of either names fits a Gemma 3 with eyes of either names", async (device) => {
  const others = await renamed(), all: Float32Array[] = [];
  for (const trainedOn of [EYES, others]) {
    const adapter = await eyesAdapter(trainedOn), files = new MemoryFolder("adapter");
    const tensors = [...adapter.tensors].map(([key, { shape, data }], i) => {
      return [key, { shape, data: data.map((_, j) => 0.2 * Math.sin(i + j)) }] as const;
    });
    await writeAdapter(files, { ...adapter, tensors: new Map(tensors) });
    for (const base of [EYES, others]) all.push(await logitsOf(device, base, files));
  }
  for (const logits of all.slice(1)) assertClose(logits, all[0]!, exact());
});

onGpu(
  "a Gemma 3 with eyes is merged into a folder that differs in the targeted maps alone",
  async (device) => {
    const adapter = await eyesAdapter(EYES),
      merged = new MemoryFolder("merged"),
      files = new MemoryFolder("adapter");
    await mergeEyes(EYES, adapter, merged);
    await writeAdapter(files, adapter);
    assertClose(await logitsOf(device, merged, null), await logitsOf(device, EYES, files), tensor("f32"));
    const before = await SafetensorsFile.open(EYES, WEIGHTS),
      after = await SafetensorsFile.open(merged, WEIGHTS);
    assert.deepEqual([...after.infos.keys()], [...before.infos.keys()]);
    const seeing = [...before.infos.keys()].filter((name) => /vision_tower|projector/.test(name));
    assert.ok(seeing.length > 10, `only ${seeing.length} tensors see`);
    const changed: string[] = [];
    for (const name of before.infos.keys()) {
      const [old, made] = [await before.readRaw(name), await after.readRaw(name)];
      if (old.some((byte, i) => byte !== made[i])) changed.push(name);
    }
    assert.deepEqual(changed.sort(), [...loraUpdates(adapter).keys()].sort());
    assert.equal(await readText(merged, "config.json"), await readText(EYES, "config.json"));
    await before.close();
    await after.close();
  },
);

Deno.test("a merged model keeps the files that tell how images are read", async () => {
  const folder = new MemoryFolder("eyes", {
    "config.json": await readText(EYES, "config.json"),
    "preprocessor_config.json": "{}",
    "processor_config.json": "{}",
  });
  const file = await EYES.open(WEIGHTS), merged = new MemoryFolder("merged");
  await writeFile(folder, WEIGHTS, await file.read(0, file.size));
  await file.close();
  await mergeEyes(folder, await eyesAdapter(folder), merged);
  assert.deepEqual(await merged.list(), await folder.list());
});

Deno.test("ModelManager names the weight that a Gemma 3 with eyes lacks as its files name it", async () => {
  const folder = new MemoryFolder("eyes", { "config.json": await readText(EYES, "config.json") });
  await writeSafetensors(folder, WEIGHTS, [{ name: "x", dtype: "F32", shape: [1], data: new Uint8Array(4) }]);
  await assert.rejects(
    new ModelManager(() => folder).open("eyes"),
    /tensor "language_model\.model\.embed_tokens\.weight" is missing/,
  );
});
