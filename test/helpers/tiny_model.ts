/**
 * A whole base model of a few thousand values, so that a test trains in milliseconds: a Llama of two layers with
 * grouped queries, and the byte-level tokenizer of `tiny_tokenizer.ts`.
 *
 * @module
 */
import { encodeFloats, type FloatDtype } from "../../src/quant/float16.ts";
import { type TensorToWrite, writeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { CONFIG_FILE, parseModelConfig } from "../../src/models/config.ts";
import { MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";
import { fillUniform, streamOf } from "../../src/random.ts";
import { type Folder, writeFile } from "../../src/storage.ts";
import { chatFiles } from "./tiny_tokenizer.ts";

/** Variations of the model's files. */
export interface TinyModelOptions {
  /** Whether the head is the embedding; default true. */
  readonly tied?: boolean;
  /** Element type of the file; default F32. */
  readonly dtype?: FloatDtype;
  /** Number of weight files; default 1, which has no index. */
  readonly shards?: number;
  /** Entries of config.json that differ. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Entries of tokenizer_config.json that differ, such as `chat_template: undefined`. */
  readonly tokenizer?: Readonly<Record<string, unknown>>;
}

/** config.json of the model. No two sizes are the same, so none can be taken for another. */
export const TINY_CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 32,
  intermediate_size: 44,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 12,
  vocab_size: 261,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  hidden_act: "silu",
  bos_token_id: 257,
  eos_token_id: 258,
};

/** Values of the model, the head left out where it is tied. */
export const TINY_PARAMETERS = { tied: 26_176, untied: 26_176 + 261 * 32 } as const;

/** Writes every file of the model into a folder. The values depend on the tensors' names alone. */
export async function writeTinyModel(folder: Folder, options: TinyModelOptions = {}): Promise<void> {
  const { tied = true, dtype = "F32", shards = 1, config = {}, tokenizer = {} } = options;
  const text = JSON.stringify({ ...TINY_CONFIG, tie_word_embeddings: tied, ...config }, null, 2);
  const parsed = parseModelConfig(text, CONFIG_FILE);
  const tensors = [...weightShapes(MODEL_FAMILIES.get(parsed.modelType)!, parsed)].map(
    ([name, shape]): TensorToWrite => {
      return { name, dtype, shape, data: encodeFloats(dtype, tinyWeights(name, shape)) };
    },
  );
  if (shards === 1) await writeSafetensors(folder, "model.safetensors", tensors);
  else await writeShards(folder, tensors, shards);
  for (const [name, content] of Object.entries(chatFiles(tokenizer))) await writeFile(folder, name, content);
  await writeFile(folder, CONFIG_FILE, text);
}

/** Uniform values: norms around 1, the embedding ±1.2, linear maps ±1.5/√in. */
function tinyWeights(name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  const source = { seed: 7, stream: streamOf(name) };
  if (shape.length === 1) fillUniform(values, 0.8, 1.2, source);
  else {
    const bound = shape[0] === TINY_CONFIG.vocab_size ? 1.2 : 1.5 / Math.sqrt(shape[1]!);
    fillUniform(values, -bound, bound, source);
  }
  return values;
}

async function writeShards(folder: Folder, tensors: readonly TensorToWrite[], shards: number): Promise<void> {
  const number = (value: number) => String(value).padStart(5, "0");
  const fileOf: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const file = `model-${number(shard + 1)}-of-${number(shards)}.safetensors`;
    const part = tensors.filter((_, i) => i % shards === shard);
    for (const { name } of part) fileOf[name] = file;
    await writeSafetensors(folder, file, part);
  }
  await writeFile(folder, "model.safetensors.index.json", JSON.stringify({ weight_map: fileOf }));
}
