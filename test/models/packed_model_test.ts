import assert from "node:assert/strict";
import { loraKey } from "../../src/checkpoint/adapter.ts";
import { type Quantization, QuantizedWeights } from "../../src/checkpoint/quantized_weights.ts";
import { type ModelWeights, WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { openGgufModel } from "../../src/checkpoint/gguf_model.ts";
import { readModelConfig } from "../../src/models/config.ts";
import { isPacked } from "../../src/models/decoder_weights.ts";
import { linearPaths, MODEL_FAMILIES } from "../../src/models/registry.ts";
import { TrainableModel } from "../../src/models/trainable_model.ts";
import { VARIANTS, type Variants } from "../../src/nn/variants.ts";
import type { ReadableFolder } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { assertClose, tensor } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEveryAdapter, type TestAdapter } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";
import { tinyGguf } from "../helpers/tiny_gguf.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

const FAMILY = MODEL_FAMILIES.get("llama")!;

/** Logits, loss and gradients of one step on a base, packed as it can be or as plain values. */
async function stepOf(
  { gpu, pipelines }: TestAdapter,
  variants: Variants,
  folder: ReadableFolder,
  weights: ModelWeights,
  packed: boolean,
) {
  const config = await readModelConfig(folder);
  const target = { rank: 3, scaling: 2 };
  const targets = new Map(linearPaths(FAMILY, config.numHiddenLayers).map((path) => [path, target]));
  const lora = { targets, nameOf: loraKey };
  const formatOf = packed && isPacked(weights) ? (name: string) => weights.formatOf(name) : undefined;
  const limits = { rows: 1, length: 8 };
  const model = new TrainableModel(config, FAMILY, lora, { gpu, pipelines, variants, limits, formatOf });
  model.allocate();
  await model.decoder.load(weights);
  model.pool.parameters.forEach((parameter, i) => {
    model.pool.write(parameter, ramp(parameter.value.bytes / 4, { phase: i, scale: 0.1 }));
  });
  const inputIds = Uint32Array.from({ length: 8 }, (_, i) => 31 * i % config.vocabSize);
  const targetIds = Int32Array.from({ length: 8 }, (_, i) => 17 * i % config.vocabSize);
  const batch = { rows: 1, length: 8, inputIds, targets: targetIds, lengths: Uint32Array.of(8) };
  model.clearGradients();
  model.clearTotals();
  await model.accumulate(batch, 1 / 8);
  const { summedLoss } = await model.totals();
  const grads = await model.pool.read("grads");
  const formats = [...model.decoder.bytesByFormat.keys()].sort();
  model.destroy();
  return { summedLoss, grads, formats, bytes: model.decoder.bytes };
}

/** Training on packed words must equal training on the values that they stand for. */
async function compare(
  adapter: TestAdapter,
  variants: Variants,
  open: () => Promise<{ folder: ReadableFolder; weights: ModelWeights }>,
  formats: readonly string[],
): Promise<void> {
  const { folder, weights } = await open();
  const got = await stepOf(adapter, variants, folder, weights, true);
  const want = await stepOf(adapter, variants, folder, weights, false);
  assert.deepEqual(got.formats, formats);
  assert.deepEqual(want.formats, ["f32"]);
  assert.ok(got.bytes < want.bytes);
  assert.ok(Math.abs(got.summedLoss - want.summedLoss) <= 1e-5 * want.summedLoss);
  for (const [name, values] of want.grads) assertClose(got.grads.get(name)!, wide(values), tensor("f32"));
}

async function tiny(dtype: "F32" | "BF16" = "F32") {
  const folder = new MemoryFolder("tiny");
  await writeTinyModel(folder, { dtype });
  return { folder, weights: await WeightFiles.open(folder) };
}

for (const how of ["nf4", "nf4_double", "int8"] as const satisfies readonly Quantization[]) {
  for (const name of ["llvmpipe", "hardware"] as const) {
    onEveryAdapter(`${how} base: packed equals its values, by variant ${name}`, async (adapter) => {
      await compare(adapter, VARIANTS[name], async () => {
        const { folder, weights } = await tiny();
        const config = await readModelConfig(folder);
        const names = linearPaths(FAMILY, config.numHiddenLayers).map((path) => `${path}.weight`);
        return { folder, weights: new QuantizedWeights(weights, how, names) };
      }, ["f32", how]);
    }, ["deno"]);
  }
}

for (const [name, formats] of [["llvmpipe", ["Q8_0", "f32"]], ["hardware", ["Q8_0", "f32"]]] as const) {
  onEveryAdapter(`GGUF base: packed equals its values, by variant ${name}`, async (adapter) => {
    const { bytes } = await tinyGguf("Q8_0");
    await compare(
      adapter,
      VARIANTS[name],
      () => openGgufModel(new MemoryFolder("tiny", { "tiny.gguf": bytes }), "tiny.gguf"),
      formats,
    );
  }, ["deno"]);
}

onEveryAdapter("a bfloat16 base stays as it is where products read packed words", async (adapter) => {
  await compare(adapter, VARIANTS.hardware, () => tiny("BF16"), ["bf16", "f32"]);
}, ["deno"]);

Deno.test("QuantizedWeights shows every reader the values that the packed words stand for", async () => {
  const { folder, weights } = await tiny();
  const config = await readModelConfig(folder);
  const names = linearPaths(FAMILY, config.numHiddenLayers).map((path) => `${path}.weight`);
  const quantized = new QuantizedWeights(weights, "nf4_double", names);
  const name = names[0]!, [rows] = weights.infos.get(name)!.shape as [number];
  const whole = await quantized.readF32(name), original = await weights.readF32(name);
  assert.notDeepEqual(whole, original);
  const cols = whole.length / rows;
  assert.deepEqual(await quantized.readRowsF32(name, 3, 5), whole.slice(3 * cols, 8 * cols));
  const raw = await quantized.readRaw(name, 4 * (cols + 1), 8);
  assert.deepEqual(new Float32Array(raw.buffer), whole.slice(cols + 1, cols + 3));
  assert.deepEqual(await quantized.readF32("model.norm.weight"), await weights.readF32("model.norm.weight"));
  assert.equal(quantized.formatOf("model.embed_tokens.weight"), null);
  await assert.rejects(quantized.readWords(name, 1, 1), /Cannot cut .* in NF4 at row 1/);
});
