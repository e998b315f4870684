/**
 * A tiny model of every family that GGUF has, as llama.cpp computes it, and exports of it in memory.
 *
 * @module
 */
import { loraUpdates } from "../../src/checkpoint/adapter.ts";
import { exportGguf, type GgufExport, type GgufModelType } from "../../src/export/gguf_model.ts";
import { type BaseModel, ModelManager } from "../../src/model_manager.ts";
import { writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { type TinyModelOptions, writeTinyModel } from "../helpers/tiny_model.ts";

const GEMMA = { hidden_activation: "gelu_pytorch_tanh", query_pre_attn_scalar: 12, torch_dtype: "bfloat16" };

/** What config.json adds to the tiny Llama's. */
export const FAMILIES: Readonly<Record<string, Record<string, unknown>>> = {
  llama: {
    rope_scaling: {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    },
    rope_theta: 500_000,
  },
  mistral: { sliding_window: 7 },
  qwen2: {
    hidden_size: 48, // four heads of 12: llama.cpp has no others there
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32 },
  },
  qwen3: { rope_scaling: { rope_type: "linear", factor: 4 } },
  gemma2: { ...GEMMA, sliding_window: 6, attn_logit_softcapping: 3, final_logit_softcapping: 5 },
  gemma3_text: {
    ...GEMMA,
    sliding_window: 5,
    num_hidden_layers: 7,
    rope_theta: 1e6,
    rope_local_base_freq: 500,
  },
  phi3: {
    hidden_size: 48,
    sliding_window: 9,
    partial_rotary_factor: 0.67, // 8 of 12
    max_position_embeddings: 64,
    original_max_position_embeddings: 16,
    rope_scaling: { type: "longrope", short_factor: [1, 1.25, 1.5, 2], long_factor: [1, 2, 3, 4] },
  },
};

/** A disk with the model of a family in `base`, opened. @param options.files Files in place of its own. */
export async function familyModel(
  modelType: string,
  { files = {}, ...options }: TinyModelOptions & { readonly files?: Record<string, string> } = {},
): Promise<{ root: MemoryFolder; base: BaseModel }> {
  const root = new MemoryFolder("disk");
  const config = { model_type: modelType, ...FAMILIES[modelType], ...options.config };
  await writeTinyModel(root.folder("base"), { ...options, config });
  for (const [name, text] of Object.entries(files)) await writeFile(root.folder("base"), name, text);
  return { root, base: await new ModelManager((uri) => root.folder(uri)).open("base") };
}

/** Exports a model to `out/model.gguf`, with an adapter or without, and opens the file. */
export async function exported(
  { root, base }: { root: MemoryFolder; base: BaseModel },
  type: GgufModelType,
  { adapted = false }: { adapted?: boolean } = {},
): Promise<{ written: GgufExport; gguf: BaseModel }> {
  const updates = adapted ? loraUpdates(tinyAdapter(base)) : new Map();
  const out = root.folder("out");
  const written = await exportGguf(out, "model.gguf", {
    source: { name: "tiny", base, updates, chatTemplate: null },
    type,
  });
  const gguf = await new ModelManager(() => out).open("out/model.gguf");
  return { written, gguf };
}
