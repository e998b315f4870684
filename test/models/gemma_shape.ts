/**
 * A Gemma 2 2B cut to two layers, with weights from nothing: does a training step of its shape, on a 4-bit base, fit what
 * every WebGPU device allows, and is it right? Without limits there is no such question, so the device is opened with the
 * default ones; the loss is held against the same step in f32 on the values of the 4-bit codes.
 *
 *     deno task gemma
 *
 * takes a minute, 1.5 GB of disk and 5 GB of memory on a software adapter; `gemma_shape_test.ts` does the same with
 * narrower layers.
 *
 * @module
 */
import { GpuLedger } from "../../bench/gpu_ledger.ts";
import { loraKey } from "../../src/checkpoint/adapter.ts";
import { writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { type BaseModel, ModelManager } from "../../src/model_manager.ts";
import { quietMesa } from "../../src/cli/quiet_mesa.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import type { MemoryRow } from "../../src/job.ts";
import { memoryRows } from "../../src/memory_plan.ts";
import { CONFIG_FILE, parseModelConfig } from "../../src/models/config.ts";
import { isPacked } from "../../src/models/decoder_weights.ts";
import { linearPaths, MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";
import { type ModelBatch, TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants, type Variants } from "../../src/nn/variants.ts";
import { encodeFloats } from "../../src/quant/float16.ts";
import { fillUniform, streamOf } from "../../src/random.ts";
import { type Folder, writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";

/** config.json of google/gemma-2-2b, but for the number of layers. */
export const GEMMA_2B = {
  model_type: "gemma2",
  architectures: ["Gemma2ForCausalLM"],
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  vocab_size: 256_000,
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
  torch_dtype: "bfloat16",
};

/** Random values that tensors take windows of: a prime, so that no two rows of a matrix start at the same one. */
const DRAWN = 1_048_573;
const SEED = 11;

/**
 * Writes a model of any size in the time that its bytes take: every tensor is a window of one random sequence, from a place
 * of its own, scaled to ±1.5/√in (norms to ±0.2).
 */
export async function writeSeededModel(
  folder: Folder,
  raw: Readonly<Record<string, unknown>>,
): Promise<void> {
  const drawn = new Float32Array(DRAWN);
  fillUniform(drawn, -1, 1, { seed: SEED, stream: streamOf("weights") });
  const text = JSON.stringify(raw, null, 2), config = parseModelConfig(text, CONFIG_FILE);
  const shapes = weightShapes(MODEL_FAMILIES.get(config.modelType)!, config);
  const tensors = [...shapes].map(([name, shape]) => {
    const bound = shape.length === 1 ? 0.2 : 1.5 / Math.sqrt(shape[1]!);
    const count = shape.reduce((product, size) => product * size, 1);
    return { name, dtype: "BF16" as const, shape, data: () => windows(drawn, bound, streamOf(name), count) };
  });
  await writeSafetensors(folder, "model.safetensors", tensors);
  await writeFile(folder, CONFIG_FILE, text);
}

async function* windows(drawn: Float32Array, bound: number, from: number, count: number) {
  const bytes = encodeFloats("BF16", drawn.map((value) => bound * value));
  for (let at = from % DRAWN, left = count; left > 0; at = 0) {
    const taken = Math.min(left, DRAWN - at);
    yield bytes.slice(2 * at, 2 * (at + taken));
    left -= taken;
  }
}

/** One row of tokens from all over the vocabulary, its first and last among them; every next one is trained. */
export function spreadBatch(tokens: number, vocabSize: number): ModelBatch {
  const inputIds = Uint32Array.from(
    { length: tokens },
    (_, i) => Math.round(i * (vocabSize - 1) / (tokens - 1)),
  );
  inputIds.reverse();
  const targets = Int32Array.from(inputIds, (_, i) => i + 1 < tokens ? inputIds[i + 1]! : -100);
  return { rows: 1, length: tokens, inputIds, targets, lengths: Uint32Array.of(tokens) };
}

/** What one step gives and takes. */
export interface ShapeStep {
  /** Mean of the labelled tokens. */
  readonly loss: number;
  readonly gradNorm: number;
  readonly grads: ReadonlyMap<string, Float32Array>;
  /** As the dry run would tell it. */
  readonly plan: readonly MemoryRow[];
  /** Asked of WebGPU at most at one time. */
  readonly peakBytes: number;
}

/** Of every linear map. */
export const TARGET = { rank: 8, scaling: 2 };

/** The low-rank factors of a parameter: both filled, so that every gradient is worth checking. */
export function factor(name: string, count: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  fillUniform(values, -0.05, 0.05, { seed: SEED, stream: streamOf(name) });
  return values;
}

/** The model of a folder with its linear maps in NF4 with double quantisation. */
export async function openNf4(folder: Folder): Promise<BaseModel> {
  const opened = await new ModelManager(() => folder).open(folder.uri);
  return ModelManager.quantized(opened, { loadIn4bit: true, loadIn8bit: false, doubleQuant: true });
}

/** Forward and backward of one batch, on the packed words or on the f32 values that they stand for. */
export async function shapeStep(
  gpu: Gpu,
  { config, family, weights }: BaseModel,
  batch: ModelBatch,
  { packed, variants = chooseVariants(gpu) }: { packed: boolean; variants?: Variants },
): Promise<ShapeStep> {
  const targets = new Map(linearPaths(family, config.numHiddenLayers).map((path) => [path, TARGET]));
  const formatOf = packed && isPacked(weights) ? (name: string) => weights.formatOf(name) : undefined;
  const ledger = new GpuLedger(gpu.device);
  const model = new TrainableModel(config, family, { targets, nameOf: loraKey }, {
    gpu,
    pipelines: new PipelineCache(gpu),
    variants,
    limits: { rows: batch.rows, length: batch.length },
    formatOf,
  });
  try {
    model.plan(["train"]);
    model.allocate();
    await model.decoder.load(weights);
    for (const parameter of model.pool.parameters) {
      model.pool.write(parameter, factor(parameter.name, parameter.value.bytes / 4));
    }
    const trained = batch.targets.filter((target) => target >= 0).length;
    model.clearGradients();
    model.clearTotals();
    await model.accumulate(batch, 1 / trained);
    const { summedLoss } = await model.totals();
    const grads = await model.pool.read("grads");
    gpu.check();
    let squares = 0;
    for (const values of grads.values()) for (const value of values) squares += value ** 2;
    return {
      loss: summedLoss / trained,
      gradNorm: Math.sqrt(squares),
      grads,
      plan: memoryRows(model),
      peakBytes: ledger.peakBytes,
    };
  } finally {
    model.destroy();
  }
}

const TOKENS = 16;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1).padStart(8)} MB`;

async function main(): Promise<void> {
  quietMesa();
  const path = await Deno.makeTempDir({ prefix: "lowrank-gemma-" });
  try {
    const began = performance.now(), seconds = () => ((performance.now() - began) / 1000).toFixed(1);
    const folder = new LocalFolder(path);
    await writeSeededModel(folder, GEMMA_2B);
    const base = await openNf4(folder), batch = spreadBatch(TOKENS, base.config.vocabSize);
    console.log(
      `${seconds()} s: wrote ${ModelManager.countParameters(base).toLocaleString("en")} parameters`,
    );
    const small = await openGpu({ limits: "default" });
    const { maxBufferSize, maxStorageBufferBindingSize: binding } = small.limits;
    console.log(`on ${small.name} with buffers of ${maxBufferSize} bytes, bindings of ${binding}`);
    const found = await shapeStep(small, base, batch, { packed: true });
    await small.close();
    for (const { what, bytes } of found.plan) console.log(`  ${what.padEnd(28)} ${megabytes(bytes)}`);
    console.log(`  ${"asked of WebGPU at most".padEnd(28)} ${megabytes(found.peakBytes)}`);
    console.log(`${seconds()} s: loss ${found.loss}, norm ${found.gradNorm} in NF4, ${TOKENS} tokens`);
    const large = await openGpu();
    const wanted = await shapeStep(large, base, batch, { packed: false });
    await large.close();
    await base.weights.close();
    console.log(`${seconds()} s: loss ${wanted.loss}, norm ${wanted.gradNorm} on the codes' values in f32`);
    const off = Math.abs(found.loss / wanted.loss - 1),
      normOff = Math.abs(found.gradNorm / wanted.gradNorm - 1);
    const agree = off <= 1e-5 && normOff <= 1e-4;
    console.log(
      `${off.toExponential(1)} and ${normOff.toExponential(1)} apart: ${
        agree ? "1 passed, 0 failed" : "0 passed, 1 failed"
      }`,
    );
    if (!agree) Deno.exit(1);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

if (import.meta.main) await main();
