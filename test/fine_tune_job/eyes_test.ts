import assert from "node:assert/strict";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { encodeFloats } from "../../src/quant/float16.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { onGpu } from "../helpers/device.ts";
import { ramp } from "../helpers/fill.ts";
import { evalLosses, jsonl, readJson, run, TEXTS } from "../helpers/job_runs.ts";
import { TINY_CONFIG, writeTinyModel } from "../helpers/tiny_model.ts";

const WEIGHTS = "model.safetensors";
const TEXT = { ...TINY_CONFIG, model_type: "gemma3_text", query_pre_attn_scalar: 12, sliding_window: 6 };
/** As eyes name their maps, which are called as those of the text. */
const SEEING = "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight";

/** A Gemma 3 whose text model is the tiny one, and what sees of it: one map, and positions as integers. */
async function writeGemma3(folder: Folder): Promise<void> {
  const eyes = { vision_config: { model_type: "siglip_vision_model" }, text_config: TEXT };
  await writeTinyModel(folder, { config: { model_type: "gemma3", ...eyes } });
  const file = await SafetensorsFile.open(folder, WEIGHTS), tensors: TensorToWrite[] = [];
  for (const { name, dtype, shape } of file.infos.values()) {
    tensors.push({ name, dtype, shape, data: await file.readRaw(name) });
  }
  await file.close();
  await writeSafetensors(folder, WEIGHTS, [
    ...tensors,
    { name: SEEING, dtype: "F32", shape: [8, 8], data: encodeFloats("F32", ramp(64)) },
    { name: "vision_tower.position_ids", dtype: "I64", shape: [2], data: new Uint8Array(16).fill(3) },
  ]);
}

async function tensorsOf(folder: Folder): Promise<Map<string, Uint8Array>> {
  const file = await SafetensorsFile.open(folder, WEIGHTS);
  const tensors = new Map<string, Uint8Array>();
  for (const name of file.infos.keys()) tensors.set(name, await file.readRaw(name));
  await file.close();
  return tensors;
}

onGpu(
  "a job trains the text of a Gemma 3 with eyes, tells PEFT to leave the eyes alone, and merges a whole folder",
  async () => {
    const root = new MemoryFolder("disk", { "train.jsonl": jsonl(TEXTS) });
    await writeGemma3(root.folder("base"));
    const events = await run(root, { target_modules: ["q_proj", "v_proj"], learning_rate: 1e-2 });
    const [before, after] = evalLosses(events) as [number, number];
    assert.ok(after < before, `the loss went from ${before} to ${after}`);
    const out = root.folder("runs/ember"),
      { target_modules } = await readJson(
        out.folder("adapter"),
        "adapter_config.json",
      );
    const expression = new RegExp(`^(?:${target_modules})$`);
    assert.match("model.language_model.layers.1.self_attn.q_proj", expression);
    assert.doesNotMatch(`model.${SEEING.replace(/\.weight$/, "")}`, expression);
    const adapter = await readAdapter(out.folder("adapter"));
    assert.equal(adapter.tensors.size, 2 * 2 * TEXT.num_hidden_layers);
    const old = await tensorsOf(root.folder("base")), merged = await tensorsOf(out.folder("merged"));
    assert.deepEqual([...merged.keys()], [...old.keys()]);
    for (const [name, bytes] of old) {
      const isTarget = name.startsWith("language_model.") && /[qv]_proj/.test(name);
      (isTarget ? assert.notDeepEqual : assert.deepEqual)(merged.get(name), bytes, name);
    }
    assert.equal((await readJson(out.folder("merged"), "config.json")).model_type, "gemma3");
  },
);

onGpu("a job goes on from the adapter of a Gemma 3 with eyes that PEFT named", async () => {
  const root = new MemoryFolder("disk", { "train.jsonl": jsonl(TEXTS) });
  await writeGemma3(root.folder("base"));
  await run(root, { target_modules: ["q_proj"], learning_rate: 1e-2 });
  const files = root.folder("runs/ember/adapter"),
    given = root.folder("given"),
    name = "adapter_model.safetensors";
  const file = await SafetensorsFile.open(files, name);
  const tensors = await Promise.all([...file.infos.values()].map(async ({ name, dtype, shape }) => {
    const key = name.replace("model.language_model.model.", "model.model.language_model.");
    assert.notEqual(key, name);
    return { name: key, dtype, shape, data: await file.readRaw(name) };
  }));
  await writeSafetensors(given, name, tensors);
  await writeFile(given, "adapter_config.json", await readText(files, "adapter_config.json"));
  const events = await run(root, { adapter_path: "given", output_model_name: "on" });
  const first = evalLosses(await run(root, { output_model_name: "fresh", target_modules: ["q_proj"] }))[0]!;
  assert.ok(evalLosses(events)[0]! < first, "the adapter that was given changes nothing");
});
