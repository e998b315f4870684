/**
 * Every quantised tensor of a folder of goldens as a linear map of a model: opened as a user's file would be, held against
 * the values that bitsandbytes and the gguf package gave, and trained on for a step, packed and as those values.
 *
 * @module
 */
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { SINGLE_FILE } from "../../src/checkpoint/weight_files.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import { type BaseModel, ModelManager, type PlannedModel } from "../../src/model_manager.ts";
import { parseModelConfig } from "../../src/models/config.ts";
import { MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";
import { chooseVariants, type Variants } from "../../src/nn/variants.ts";
import { type GgufType, ggufType } from "../../src/quant/gguf_types.ts";
import { type Folder, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { ramp } from "../helpers/fill.ts";
import { f32, ggufBytes, text, u32 } from "../helpers/gguf_file.ts";
import { tinyTokenizerEntries } from "../helpers/tiny_gguf.ts";
import { compareNumber, compareTensor, type Comparison } from "./compare.ts";

/** A model with one golden tensor in it, and that tensor's values. */
interface QuantCase {
  readonly name: string;
  readonly folder: Folder;
  /** How the model is opened: a folder, or the file in it. */
  readonly uri: string;
  readonly want: Float32Array;
}

/** What the comparisons of a case came to. */
export interface QuantResult {
  readonly name: string;
  readonly compared: readonly Comparison[];
}

/** The map that the golden tensor takes the place of, [intermediate, hidden]. */
const MAP = "model.layers.0.mlp.up_proj.weight";
const VOCABULARY = 261, LENGTH = 16;

/** Runs every tensor of a folder `quant`. @throws {Error} If one is not kept packed. */
export async function* runQuant(
  gpu: Gpu,
  folder: Folder,
  variants: Variants = chooseVariants(gpu),
): AsyncGenerator<QuantResult> {
  const device = { gpu, variants, pipelines: new PipelineCache(gpu), limits: { rows: 1, length: LENGTH } };
  for await (const one of quantCases(folder)) {
    const base = await new ModelManager(() => one.folder).open(one.uri);
    try {
      yield { name: `quant ${one.name}`, compared: await compared(base, one, device) };
    } finally {
      await base.weights.close();
    }
  }
}

type Device = Parameters<ModelManager["plan"]>[2];

async function compared(base: BaseModel, { want, name }: QuantCase, device: Device): Promise<Comparison[]> {
  if (ModelManager.packing(base) === null) throw new Error(`The map of ${name} is not kept packed`);
  const { weights } = base;
  const values = {
    readF32: (name: string) => weights.readF32(name),
    readRowsF32: (name: string, first: number, count: number) => weights.readRowsF32(name, first, count),
  };
  const packed = await stepOf(base, device), plain = await stepOf({ ...base, weights: values }, device);
  return [
    // int8 divides by 127 once where PyTorch multiplies and divides: a rounding of difference
    compareTensor(name.startsWith("int8") ? "logits" : "exact", await weights.readF32(MAP), want),
    compareNumber("loss", packed.loss, plain.loss),
    ...[...plain.grads].map(([name, grad]) => compareTensor("gradient", packed.grads.get(name)!, grad)),
  ];
}

/** Loss and gradients of one step on a fixed batch. */
async function stepOf(base: PlannedModel, device: Device) {
  const manager = new ModelManager(() => new MemoryFolder());
  const model = manager.plan(base, { rank: 2, alpha: 4, targetModules: "all-linear" }, device);
  try {
    model.allocate();
    await model.decoder.load(base.weights);
    model.pool.parameters.forEach((parameter, i) => {
      model.pool.write(parameter, ramp(parameter.value.bytes / 4, { phase: i, scale: 0.1 }));
    });
    const inputIds = Uint32Array.from({ length: LENGTH }, (_, i) => 31 * i % VOCABULARY);
    const targets = Int32Array.from({ length: LENGTH }, (_, i) => 17 * i % VOCABULARY);
    model.clearGradients();
    model.clearTotals();
    const batch = { rows: 1, length: LENGTH, inputIds, targets, lengths: Uint32Array.of(LENGTH) };
    await model.accumulate(batch, 1 / LENGTH);
    const { summedLoss } = await model.totals();
    return { loss: summedLoss / LENGTH, grads: await model.pool.read("grads") };
  } finally {
    model.destroy();
  }
}

async function* quantCases(folder: Folder): AsyncGenerator<QuantCase> {
  yield* bitsandbytesCases(await SafetensorsFile.open(folder, "nf4.safetensors"));
  yield* int8Cases(await SafetensorsFile.open(folder, "int8.safetensors"));
  yield* blockCases(await SafetensorsFile.open(folder, "gguf_blocks.safetensors"));
  const file = await GgufFile.open(folder, "tiny.gguf");
  const expected = await SafetensorsFile.open(folder, "tiny_gguf_expected.safetensors");
  for (const [name, { shape, type }] of file.infos) {
    if (type.blockValues === 1) continue; // plain floats
    const data = await file.readRows(name, 0, shape[0]!);
    yield ggufCase(`tiny.gguf ${name}`, shape, { type, data, want: await expected.readF32(name) });
  }
  await file.close();
  await expected.close();
}

/** 4-bit tensors as bitsandbytes writes them, with scales in f32 and in 8 bits. */
async function* bitsandbytesCases(file: SafetensorsFile): AsyncGenerator<QuantCase> {
  for (let k = 0; file.infos.has(`nf4.${k}.x`); k++) {
    for (const scales of ["plain", "dq"]) {
      const from = `hf.${k}.${scales}.weight.`;
      const parts = [...file.infos.values()].filter(({ name }) => name.startsWith(from));
      const tensors = await Promise.all(
        parts.map(async ({ name, dtype, shape }): Promise<TensorToWrite> => {
          return { name: `${MAP}.${name.slice(from.length)}`, dtype, shape, data: await file.readRaw(name) };
        }),
      );
      const codes = await file.readRaw(`nf4.${k}.${scales}.packed`);
      tensors.push({ name: MAP, dtype: "U8", shape: [codes.length, 1], data: codes });
      const { shape } = file.infos.get(`nf4.${k}.x`)!;
      const want = await file.readF32(`nf4.${k}.${scales}.dequant`);
      yield await folderCase(`nf4 ${k} ${scales}`, shape, tensors, want);
    }
  }
  await file.close();
}

async function* int8Cases(file: SafetensorsFile): AsyncGenerator<QuantCase> {
  for (let k = 0; file.infos.has(`int8.${k}.x`); k++) {
    const { shape } = file.infos.get(`int8.${k}.x`)!,
      read = (part: string) => file.readRaw(`int8.${k}.${part}`);
    const tensors: TensorToWrite[] = [
      { name: MAP, dtype: "I8", shape, data: await read("bnb_q") },
      { name: MAP.replace(/weight$/, "SCB"), dtype: "F32", shape: [shape[0]!], data: await read("absmax") },
    ];
    yield await folderCase(`int8 ${k}`, shape, tensors, await file.readF32(`int8.${k}.dequant`));
  }
  await file.close();
}

async function* blockCases(file: SafetensorsFile): AsyncGenerator<QuantCase> {
  for (const raw of [...file.infos.keys()].filter((name) => name.endsWith(".raw"))) {
    const values = raw.replace(/raw$/, "dequant"), [name] = raw.split(".") as [string];
    const type = ggufType(name), data = await file.readRaw(raw), want = await file.readF32(values);
    yield ggufCase(raw, file.infos.get(values)!.shape, { type, data, want });
  }
  await file.close();
}

/** config.json of a model of one layer whose map is [rows, cols]. */
function configOf([rows, cols]: readonly number[]): string {
  return JSON.stringify({
    model_type: "llama",
    hidden_size: cols,
    intermediate_size: rows,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    head_dim: 8,
    vocab_size: VOCABULARY,
    max_position_embeddings: LENGTH,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    hidden_act: "silu",
    tie_word_embeddings: true,
  });
}

/** Everything but the golden map, in f32. */
function otherTensors(shape: readonly number[]): TensorToWrite[] {
  const shapes = weightShapes(MODEL_FAMILIES.get("llama")!, parseModelConfig(configOf(shape), "made up"));
  return [...shapes].filter(([name]) => name !== MAP).map(([name, size], i): TensorToWrite => {
    const values = ramp(size.reduce((a, b) => a * b), { phase: i, scale: 1.5 / Math.sqrt(size.at(-1)!) });
    return { name, dtype: "F32", shape: size, data: new Uint8Array(values.buffer) };
  });
}

async function folderCase(
  name: string,
  shape: readonly number[],
  tensors: readonly TensorToWrite[],
  want: Float32Array,
): Promise<QuantCase> {
  const folder = new MemoryFolder(name);
  await writeSafetensors(folder, SINGLE_FILE, [...otherTensors(shape), ...tensors]);
  await writeFile(folder, "config.json", configOf(shape));
  return { name, folder, uri: name, want };
}

const GGUF_NAMES: Readonly<Record<string, string>> = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "model.layers.0.input_layernorm.weight": "blk.0.attn_norm.weight",
  "model.layers.0.post_attention_layernorm.weight": "blk.0.ffn_norm.weight",
  "model.layers.0.self_attn.q_proj.weight": "blk.0.attn_q.weight",
  "model.layers.0.self_attn.k_proj.weight": "blk.0.attn_k.weight",
  "model.layers.0.self_attn.v_proj.weight": "blk.0.attn_v.weight",
  "model.layers.0.self_attn.o_proj.weight": "blk.0.attn_output.weight",
  "model.layers.0.mlp.gate_proj.weight": "blk.0.ffn_gate.weight",
  "model.layers.0.mlp.down_proj.weight": "blk.0.ffn_down.weight",
};

function ggufCase(
  name: string,
  shape: readonly number[],
  { type, data, want }: { type: GgufType; data: Uint8Array; want: Float32Array },
): QuantCase {
  const [rows, cols] = shape as [number, number];
  const entries = [
    ["general.architecture", text("llama")],
    ["llama.block_count", u32(1)],
    ["llama.context_length", u32(LENGTH)],
    ["llama.embedding_length", u32(cols)],
    ["llama.feed_forward_length", u32(rows)],
    ["llama.attention.head_count", u32(1)],
    ["llama.attention.head_count_kv", u32(1)],
    ["llama.attention.key_length", u32(8)],
    ["llama.attention.value_length", u32(8)],
    ["llama.attention.layer_norm_rms_epsilon", f32(1e-5)],
    ["llama.rope.freq_base", f32(10_000)],
  ] as const;
  const others = otherTensors(shape).map((tensor) => {
    return { name: GGUF_NAMES[tensor.name]!, shape: tensor.shape, type: 0, data: tensor.data as Uint8Array };
  });
  const bytes = ggufBytes({
    entries: [...entries, ...tinyTokenizerEntries()],
    tensors: [...others, { name: "blk.0.ffn_up.weight", shape, type: type.id, data }],
  });
  return { name, folder: new MemoryFolder("quant", { "model.gguf": bytes }), uri: "quant/model.gguf", want };
}
