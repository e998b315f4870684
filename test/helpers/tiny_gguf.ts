/**
 * The model and tokenizer of `tiny_model.ts` as a GGUF file, as llama.cpp's converter would write it.
 *
 * @module
 */
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { encodeBlocks } from "../../src/quant/gguf_blocks.ts";
import { ggufType } from "../../src/quant/gguf_types.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import {
  f32,
  ggufBytes,
  type GgufEntry,
  type GgufTensorToWrite,
  i32s,
  text,
  texts,
  u32,
} from "./gguf_file.ts";
import { TINY_CONFIG, writeTinyModel } from "./tiny_model.ts";
import { CHAT_TEMPLATE, chatFiles } from "./tiny_tokenizer.ts";

const GGUF_NAMES: readonly (readonly [RegExp, string])[] = [
  [/^model\.embed_tokens/, "token_embd"],
  [/^model\.norm/, "output_norm"],
  [/^lm_head/, "output"],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj/, "blk.$1.attn_$2"],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj/, "blk.$1.attn_output"],
  [/^model\.layers\.(\d+)\.mlp\.(\w+)_proj/, "blk.$1.ffn_$2"],
  [/^model\.layers\.(\d+)\.input_layernorm/, "blk.$1.attn_norm"],
  [/^model\.layers\.(\d+)\.post_attention_layernorm/, "blk.$1.ffn_norm"],
];

/** Metadata of the model, without the tokenizer's. */
export const TINY_GGUF_ENTRIES: readonly (readonly [string, GgufEntry])[] = [
  ["general.architecture", text("llama")],
  ["general.license", text("mit")],
  ["llama.block_count", u32(TINY_CONFIG.num_hidden_layers)],
  ["llama.context_length", u32(TINY_CONFIG.max_position_embeddings)],
  ["llama.embedding_length", u32(TINY_CONFIG.hidden_size)],
  ["llama.feed_forward_length", u32(TINY_CONFIG.intermediate_size)],
  ["llama.attention.head_count", u32(TINY_CONFIG.num_attention_heads)],
  ["llama.attention.head_count_kv", u32(TINY_CONFIG.num_key_value_heads)],
  ["llama.attention.key_length", u32(TINY_CONFIG.head_dim)],
  ["llama.attention.value_length", u32(TINY_CONFIG.head_dim)],
  ["llama.attention.layer_norm_rms_epsilon", f32(TINY_CONFIG.rms_norm_eps)],
  ["llama.rope.freq_base", f32(TINY_CONFIG.rope_theta)],
];

/** Metadata of the tokenizer of `chatFiles()`. */
export function tinyTokenizerEntries(): (readonly [string, GgufEntry])[] {
  const { model, added_tokens: added } = JSON.parse(chatFiles()["tokenizer.json"]!);
  const tokens = [...Object.keys(model.vocab), ...added.map(({ content }: { content: string }) => content)];
  tokens.sort((a, b) => (model.vocab[a] ?? Infinity) - (model.vocab[b] ?? Infinity));
  return [
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text("gpt-2")],
    ["tokenizer.ggml.tokens", texts(tokens)],
    ["tokenizer.ggml.token_type", i32s(tokens.map((_, id) => id < 257 ? 1 : 3))],
    ["tokenizer.ggml.merges", texts(model.merges.map((pair: readonly string[]) => pair.join(" ")))],
    ["tokenizer.ggml.bos_token_id", u32(257)],
    ["tokenizer.ggml.eos_token_id", u32(258)],
    ["tokenizer.chat_template", text(CHAT_TEMPLATE)],
  ];
}

/** The file, matrices of whole blocks in `type`, all others in F32; and the folder that it stands for. */
export async function tinyGguf(
  type = "F32",
): Promise<{ bytes: Uint8Array<ArrayBuffer>; folder: MemoryFolder }> {
  const folder = new MemoryFolder("models/tiny");
  await writeTinyModel(folder);
  const weights = await WeightFiles.open(folder);
  const tensors: GgufTensorToWrite[] = [];
  for (const { name, shape } of weights.infos.values()) {
    const values = turned(name, await weights.readF32(name), shape);
    const packs = shape.length === 2 && shape[1]! % ggufType(type).blockValues === 0 ? type : "F32";
    const [pattern, ggufName] = GGUF_NAMES.find(([known]) => known.test(name))!;
    tensors.push({
      name: name.replace(pattern, ggufName),
      shape,
      type: ggufType(packs).id,
      data: encodeBlocks(packs, values),
    });
  }
  return {
    bytes: ggufBytes({ entries: [...TINY_GGUF_ENTRIES, ...tinyTokenizerEntries()], tensors }),
    folder,
  };
}

/** Rows [heads, 2, D/2] become [heads, D/2, 2] in queries and keys. */
function turned(name: string, values: Float32Array, shape: readonly number[]): Float32Array {
  if (!/[qk]_proj/.test(name)) return values;
  const [rows, cols] = shape as [number, number], half = TINY_CONFIG.head_dim / 2;
  const out = new Float32Array(values.length);
  for (let head = 0; head * 2 * half < rows; head++) {
    for (let side = 0; side < 2; side++) {
      for (let i = 0; i < half; i++) {
        const from = (head * 2 + side) * half + i, to = (head * half + i) * 2 + side;
        out.set(values.subarray(from * cols, (from + 1) * cols), to * cols);
      }
    }
  }
  return out;
}
