/**
 * What a GGUF file says of its model, as config.json says it. llama.cpp leaves out what follows from the architecture, so
 * that is filled in here.
 *
 * @module
 */
import type { GgufFile } from "./gguf.ts";
import { GgufFields, shortest } from "./gguf_fields.ts";

/** What an architecture adds to the fields that all have; by the names of config.json. */
type FamilyFields = (fields: GgufFields, sizes: Sizes) => Record<string, unknown>;

interface Sizes {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly layers: number;
  readonly headDim: number;
}

/** Architectures by `general.architecture`. */
const FAMILIES: ReadonlyMap<string, FamilyFields> = new Map([
  ["llama", llama],
  ["qwen2", () => described("Qwen2", "qwen2")],
  ["qwen3", () => described("Qwen3", "qwen3")],
  ["gemma2", gemma2],
  ["gemma3", gemma3],
  ["phi3", phi3],
]);

/** Architectures that {@link ggufConfig} describes. */
export const GGUF_ARCHITECTURES: readonly string[] = [...FAMILIES.keys()];

/**
 * The config.json of a file's model.
 *
 * @throws {ModelFormatError} If the metadata lacks a field, or has one of another kind.
 * @throws {UnsupportedModelError} If the architecture, or a setting that changes its mathematics, is not supported.
 */
export async function ggufConfig(file: GgufFile): Promise<Record<string, unknown>> {
  const fields = new GgufFields(file);
  const family = FAMILIES.get(fields.architecture);
  if (!family) {
    throw fields.unsupported(`architecture "${fields.architecture}"`, GGUF_ARCHITECTURES.join(", "));
  }
  if (fields.count("expert_count", 0) > 0) throw fields.unsupported("a mixture of experts", "dense models");
  const sizes = readSizes(fields);
  const { hiddenSize: hidden_size, heads, layers, headDim: head_dim } = sizes;
  const eos = [fields.token("eos"), fields.token("eot")].filter((id, i, all) =>
    id !== null && all.indexOf(id) === i
  );
  return {
    hidden_size,
    intermediate_size: fields.count("feed_forward_length"),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: fields.count("attention.head_count_kv", heads),
    head_dim,
    vocab_size: file.info("token_embd.weight").shape[0],
    max_position_embeddings: fields.count("context_length"),
    rms_norm_eps: fields.number("attention.layer_norm_rms_epsilon"),
    rope_theta: fields.number("rope.freq_base", 10_000),
    rope_scaling: await ropeScaling(file, fields, sizes),
    hidden_act: "silu",
    tie_word_embeddings: !file.infos.has("output.weight"),
    bos_token_id: fields.token("bos"),
    eos_token_id: eos.length === 1 ? eos[0] : eos.length === 0 ? null : eos,
    pad_token_id: fields.token("padding"),
    torch_dtype: "float32",
    ...family(fields, sizes),
  };
}

function readSizes(fields: GgufFields): Sizes {
  const hiddenSize = fields.count("embedding_length"), heads = fields.count("attention.head_count");
  const headDim = fields.count("attention.key_length", hiddenSize / heads);
  const valueDim = fields.count("attention.value_length", headDim);
  if (valueDim !== headDim) {
    throw fields.unsupported(`values of ${valueDim} per head beside keys of ${headDim}`, "equal ones");
  }
  return { hiddenSize, heads, layers: fields.count("block_count"), headDim };
}

function described(name: string, modelType: string): Record<string, unknown> {
  return { architectures: [`${name}ForCausalLM`], model_type: modelType };
}

/** Mistral is a Llama there, but for the window of its first version. */
function llama(fields: GgufFields): Record<string, unknown> {
  const window = fields.count("attention.sliding_window", 0);
  if (window > 0) return { ...described("Mistral", "mistral"), sliding_window: window };
  return {
    ...described("Llama", "llama"),
    attention_bias: fields.hasTensor("blk.0.attn_q.bias"),
    mlp_bias: fields.hasTensor("blk.0.ffn_up.bias"),
  };
}

function phi3(fields: GgufFields, { headDim }: Sizes): Record<string, unknown> {
  const window = fields.count("attention.sliding_window", 0);
  return {
    ...described("Phi3", "phi3"),
    partial_rotary_factor: fields.count("rope.dimension_count", headDim) / headDim,
    original_max_position_embeddings: fields.count(
      "rope.scaling.original_context_length",
      fields.count("context_length"),
    ),
    sliding_window: window > 0 ? window : null,
  };
}

/**
 * Scores are scaled by headDim^(−1/2), but in the 27B models, which are told by their layers, by (width / heads)^(−1/2).
 * bfloat16 is what published weights have; transformers rounds the embedding's scale to it.
 */
function gemma(fields: GgufFields, { hiddenSize, heads, layers, headDim }: Sizes, layersOf27B: number) {
  return {
    hidden_activation: "gelu_pytorch_tanh",
    query_pre_attn_scalar: layers === layersOf27B ? hiddenSize / heads : headDim,
    sliding_window: fields.count("attention.sliding_window"),
    torch_dtype: "bfloat16",
  };
}

function gemma2(fields: GgufFields, sizes: Sizes): Record<string, unknown> {
  return {
    ...described("Gemma2", "gemma2"),
    ...gemma(fields, sizes, 46),
    attn_logit_softcapping: fields.number("attn_logit_softcapping", 50),
    final_logit_softcapping: fields.number("final_logit_softcapping", 30),
  };
}

function gemma3(fields: GgufFields, sizes: Sizes): Record<string, unknown> {
  return {
    ...described("Gemma3", "gemma3_text"),
    ...gemma(fields, sizes, 62),
    rope_local_base_freq: fields.number("rope.freq_base_swa", 10_000),
    sliding_window_pattern: 6,
  };
}

/** What Llama 3.1 and 3.2 were all trained with; files hold the table that follows, not the numbers. */
const LLAMA3 = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };

async function ropeScaling(
  file: GgufFile,
  fields: GgufFields,
  sizes: Sizes,
): Promise<Record<string, unknown> | null> {
  const type = fields.string("rope.scaling.type", "none");
  const long = "rope_factors_long.weight",
    short = "rope_factors_short.weight",
    stretched = "rope_freqs.weight";
  if (file.infos.has(long) && file.infos.has(short)) {
    const attention = fields.number("rope.scaling.attn_factor", 0);
    return {
      rope_type: "longrope",
      long_factor: [...await file.readF32(long)].map(shortest),
      short_factor: [...await file.readF32(short)].map(shortest),
      ...(attention > 0 ? { attention_factor: attention } : {}),
    };
  }
  if (file.infos.has(stretched)) return llama3Scaling(fields, await file.readF32(stretched), sizes.headDim);
  if (type === "none") return null;
  const factor = fields.number("rope.scaling.factor");
  if (type !== "yarn") return { rope_type: type, factor };
  const context = fields.count("rope.scaling.original_context_length", fields.count("context_length"));
  return { rope_type: type, factor, original_max_position_embeddings: context };
}

/**
 * Llama 3's stretching, told by its table of divisors: 1 for short waves, `factor` for long ones, and between them
 * 1 / ((1 − s) / factor + s) with s = (original / wavelength − low) / (high − low).
 */
function llama3Scaling(
  fields: GgufFields,
  divisors: Float32Array,
  headDim: number,
): Record<string, unknown> | null {
  const factor = shortest(divisors.reduce((most, value) => Math.max(most, value), 1));
  if (factor === 1) return null;
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = LLAMA3;
  const theta = fields.number("rope.freq_base", 10_000);
  for (const [i, divisor] of divisors.entries()) {
    const waves = original / (2 * Math.PI * theta ** (2 * i / headDim));
    const s = Math.min(1, Math.max(0, (waves - low) / (high - low)));
    if (Math.abs(1 / ((1 - s) / factor + s) / divisor - 1) < 1e-4) continue;
    throw fields.unsupported("a rope_freqs.weight of its own", "that of Llama 3");
  }
  return { rope_type: "llama3", factor, ...LLAMA3 };
}
