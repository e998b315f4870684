/**
 * Models, factors and batches of the goldens that `make_families.py` writes: the formulas of that script.
 *
 * @module
 */
import assert from "node:assert/strict";
import { loraKey } from "../../src/checkpoint/adapter.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { type ModelBatch, TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import type { TestAdapter } from "../helpers/gpu.ts";
import { encodeFloats } from "../../src/quant/float16.ts";
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { CONFIG_FILE, parseModelConfig } from "../../src/models/config.ts";
import { linearPaths, MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";
import { type Folder, writeFile } from "../../src/storage.ts";

/** Numbers in [-1, 1) from a name: FNV-1a of it, then a mix of each index. */
export function uniform(name: string, count: number): Float64Array<ArrayBuffer> {
  let seed = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193);
  return Float64Array.from({ length: count }, (_, i) => {
    let x = Math.imul(i + 1, 0x9e3779b1) + seed;
    x = Math.imul(x ^ x >>> 16, 0x85ebca6b);
    x = Math.imul(x ^ x >>> 13, 0xc2b2ae35);
    x ^= x >>> 16;
    return (x >>> 0) / 2 ** 31 - 1;
  });
}

function values(name: string, shape: readonly number[], normCentre: number): Float32Array<ArrayBuffer> {
  const drawn = uniform(name, shape.reduce((product, size) => product * size, 1));
  if (name.endsWith("norm.weight")) return Float32Array.from(drawn, (u) => normCentre + 0.2 * u);
  if (shape.length === 1) return Float32Array.from(drawn, (u) => 0.5 * u);
  const bound = name.includes("embed_tokens") ? 1.2 : 1.5 / Math.sqrt(shape[1]!);
  return Float32Array.from(drawn, (u) => bound * u);
}

/** Writes the model that a config.json describes. */
export async function writeFormulaModel(folder: Folder, raw: Record<string, unknown>): Promise<void> {
  const text = JSON.stringify(raw), config = parseModelConfig(text, CONFIG_FILE);
  const family = MODEL_FAMILIES.get(config.modelType)!;
  const tensors = [...weightShapes(family, config)].map(([name, shape]) => {
    const data = encodeFloats("F32", values(name, shape, 1 - family.normOffset));
    return { name, dtype: "F32" as const, shape, data };
  });
  await writeSafetensors(folder, "model.safetensors", tensors);
  await writeFile(folder, CONFIG_FILE, text);
}

/** Values of a factor by its key in an adapter file. */
export function factorValues(key: string, count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(uniform(key, count), (u) => 0.3 * u);
}

/** Padded rows of these lengths; every next token is trained. */
export function formulaBatch(lengths: readonly number[], vocabSize: number): ModelBatch {
  const rows = lengths.length, length = Math.max(...lengths);
  const inputIds = new Uint32Array(rows * length), targets = new Int32Array(rows * length).fill(-100);
  lengths.forEach((tokens, row) => {
    for (let t = 0; t < tokens; t++) {
      const at = row * length + t;
      inputIds[at] = 3 + (37 * at + 11) % (vocabSize - 7);
      if (t > 0) targets[at - 1] = inputIds[at];
    }
  });
  return { rows, length, inputIds, targets, lengths: Uint32Array.from(lengths) };
}

const RANK = 2, ALPHA = 4;

/** A base with LoRA on every linear map, for batches of two rows of so many tokens. */
export async function openFormulaModel({ gpu, pipelines }: TestAdapter, files: Folder, length: number) {
  const base = await new ModelManager(() => files).open(files.uri);
  const paths = linearPaths(base.family, base.config.numHiddenLayers);
  const lora = {
    targets: new Map(paths.map((path) => [path, { rank: RANK, scaling: ALPHA / RANK }])),
    nameOf: loraKey,
  };
  const limits = { rows: 2, length }, variants = chooseVariants(gpu);
  const model = new TrainableModel(base.config, base.family, lora, { gpu, pipelines, variants, limits });
  model.allocate();
  await model.decoder.load(base.weights);
  for (const parameter of model.pool.parameters) {
    model.pool.write(parameter, factorValues(parameter.name, parameter.value.bytes / 4));
  }
  return {
    model,
    close: async () => {
      model.destroy();
      await base.weights.close();
    },
  };
}

/** The parts of one array that belong to tensors of these sizes. */
export function partsOf(whole: Float32Array, sizes: readonly number[]): Float32Array[] {
  let at = 0;
  const parts = sizes.map((size) => whole.subarray(at, at += size));
  assert.equal(at, whole.length, "the golden holds gradients of other tensors");
  return parts;
}

export function assertOk(
  what: string,
  { ok, value, limit }: { ok: boolean; value: number; limit: number },
): void {
  assert.ok(ok, `${what} is ${value} off, allowed are ${limit}`);
}
