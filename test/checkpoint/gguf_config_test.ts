import assert from "node:assert/strict";
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { ggufConfig } from "../../src/checkpoint/gguf_config.ts";
import { shortest } from "../../src/checkpoint/gguf_fields.ts";
import { checkpointName, turnedRow } from "../../src/checkpoint/gguf_names.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { f32, ggufBytes, type GgufEntry, type GgufTensorToWrite, text, u32 } from "../helpers/gguf_file.ts";

/** The config of a file of an architecture: width 64, 4 heads, 2 layers, unless `entries` say otherwise. */
async function configOf(
  architecture: string,
  entries: Readonly<Record<string, GgufEntry>> = {},
  tensors: readonly (readonly [string, readonly number[]])[] = [],
): Promise<Record<string, unknown>> {
  const all: Record<string, GgufEntry> = {
    block_count: u32(2),
    context_length: u32(4096),
    embedding_length: u32(64),
    feed_forward_length: u32(96),
    "attention.head_count": u32(4),
    "attention.head_count_kv": u32(2),
    "attention.layer_norm_rms_epsilon": f32(1e-6),
    "rope.freq_base": f32(500_000),
    ...entries,
  };
  const float = (name: string, values: readonly number[], shape = [values.length]): GgufTensorToWrite => {
    return { name, shape, type: 0, data: new Uint8Array(Float32Array.from(values).buffer) };
  };
  const bytes = ggufBytes({
    entries: [
      ["general.architecture", text(architecture)],
      ...Object.entries(all).map(([key, entry]) => [`${architecture}.${key}`, entry] as const),
    ],
    tensors: [
      float("token_embd.weight", Array(10).fill(0), [10, 1]),
      ...tensors.map(([name, values]) => float(name, values)),
    ],
  });
  return await ggufConfig(await GgufFile.open(new MemoryFolder("m", { "w.gguf": bytes }), "w.gguf"));
}

/** The fields of a config that are named. */
function pick(config: Record<string, unknown>, ...names: string[]): unknown[] {
  return names.map((name) => config[name]);
}

Deno.test("ggufConfig() spells sizes and constants as config.json does, decimals unrounded", async () => {
  const config = await configOf("qwen2", {}, [["output.weight", [0]]]);
  assert.deepEqual(config, {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    vocab_size: 10,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-6,
    rope_theta: 500_000,
    rope_scaling: null,
    hidden_act: "silu",
    tie_word_embeddings: false,
    bos_token_id: null,
    eos_token_id: null,
    pad_token_id: null,
    torch_dtype: "float32",
  });
});

Deno.test("ggufConfig() names each family, and takes a Llama with a window for Mistral", async () => {
  const sliding = { "attention.sliding_window": u32(32) };
  const types = [
    await configOf("llama"),
    await configOf("llama", sliding),
    await configOf("qwen3", { "attention.key_length": u32(32), "attention.value_length": u32(32) }),
    await configOf("gemma2", sliding),
    await configOf("gemma3", sliding),
    await configOf("phi3", { "rope.dimension_count": u32(12) }),
  ];
  assert.deepEqual(types.map(({ model_type }) => model_type), [
    "llama",
    "mistral",
    "qwen3",
    "gemma2",
    "gemma3_text",
    "phi3",
  ]);
  assert.deepEqual(pick(types[0]!, "attention_bias", "mlp_bias"), [false, false]);
  assert.equal(types[1]!.sliding_window, 32);
  assert.equal(types[2]!.head_dim, 32);
  assert.deepEqual(pick(types[5]!, "partial_rotary_factor", "sliding_window"), [0.75, null]);
  const biased = await configOf("llama", {}, [["blk.0.attn_q.bias", [0]]]);
  assert.equal(biased.attention_bias, true);
});

Deno.test("ggufConfig() fills in what follows from Gemma's sizes", async () => {
  const entries = {
    "attention.sliding_window": u32(32),
    "attention.key_length": u32(24),
    "attention.value_length": u32(24),
  };
  const names = [
    "hidden_activation",
    "query_pre_attn_scalar",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "torch_dtype",
  ];
  const small = await configOf("gemma2", {
    ...entries,
    attn_logit_softcapping: f32(50),
    final_logit_softcapping: f32(30),
  });
  assert.deepEqual(pick(small, ...names), ["gelu_pytorch_tanh", 24, 50, 30, "bfloat16"]);
  const large = await configOf("gemma2", { ...entries, block_count: u32(46) });
  assert.equal(large.query_pre_attn_scalar, 16);
  const third = await configOf("gemma3", {
    ...entries,
    "rope.scaling.type": text("linear"),
    "rope.scaling.factor": f32(8),
  });
  assert.deepEqual(pick(third, "rope_local_base_freq", "sliding_window_pattern", "rope_scaling"), [
    10_000,
    6,
    { rope_type: "linear", factor: 8 },
  ]);
  assert.equal((await configOf("gemma3", { ...entries, block_count: u32(62) })).query_pre_attn_scalar, 16);
});

Deno.test("ggufConfig() knows Llama 3's stretching by its table", async () => {
  // torch: 1 / (inv_freq_llama3 / inv_freq) for head_dim 16, theta 500,000, factor 8, low 1, high 4, original 8192
  const frequencies = Array.from({ length: 8 }, (_, i) => 500_000 ** (-i / 8));
  const divisors = frequencies.map((frequency) => {
    const wavelength = 2 * Math.PI / frequency;
    if (wavelength < 8192 / 4) return 1;
    if (wavelength > 8192 / 1) return 8;
    const smooth = (8192 / wavelength - 1) / (4 - 1);
    return 1 / ((1 - smooth) / 8 + smooth);
  });
  assert.ok(divisors.some((value) => value > 1 && value < 8), "no divisor lies between");
  const { rope_scaling } = await configOf("llama", {}, [["rope_freqs.weight", divisors]]);
  assert.deepEqual(rope_scaling, {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  });
  assert.equal((await configOf("llama", {}, [["rope_freqs.weight", Array(8).fill(1)]])).rope_scaling, null);
});

Deno.test("ggufConfig() reads the context that yarn stretches", async () => {
  const yarn = { "rope.scaling.type": text("yarn"), "rope.scaling.factor": f32(4) };
  const { rope_scaling } = await configOf("qwen2", {
    ...yarn,
    "rope.scaling.original_context_length": u32(1024),
  });
  assert.deepEqual(rope_scaling, { rope_type: "yarn", factor: 4, original_max_position_embeddings: 1024 });
});

Deno.test("ggufConfig() reads the two tables of longrope", async () => {
  const config = await configOf("phi3", {
    "rope.scaling.attn_factor": f32(1.19),
    "rope.scaling.original_context_length": u32(512),
  }, [["rope_factors_long.weight", [1.1, 2.5]], ["rope_factors_short.weight", [1, 1.05]]]);
  assert.deepEqual(config.rope_scaling, {
    rope_type: "longrope",
    long_factor: [1.1, 2.5],
    short_factor: [1, 1.05],
    attention_factor: 1.19,
  });
  assert.equal(config.original_max_position_embeddings, 512);
});

Deno.test("ggufConfig() counts the end of a turn among the ends of a text", async () => {
  const bytes = (extra: readonly (readonly [string, GgufEntry])[]) =>
    ggufBytes({
      entries: [
        ["general.architecture", text("qwen3")],
        ...[
          "block_count",
          "context_length",
          "embedding_length",
          "feed_forward_length",
          "attention.head_count",
        ]
          .map((key) => [`qwen3.${key}`, u32(2)] as const),
        ["qwen3.attention.layer_norm_rms_epsilon", f32(1e-6)],
        ...extra.map(([key, entry]) => [`tokenizer.ggml.${key}_token_id`, entry] as const),
      ],
      tensors: [{ name: "token_embd.weight", shape: [4, 1], type: 0, data: new Uint8Array(16) }],
    });
  const eosOf = async (...extra: (readonly [string, GgufEntry])[]) => {
    const file = await GgufFile.open(new MemoryFolder("m", { w: bytes(extra) }), "w");
    return (await ggufConfig(file)).eos_token_id;
  };
  assert.deepEqual(await eosOf(["eos", u32(1)], ["eot", u32(3)]), [1, 3]);
  assert.deepEqual(await eosOf(["eos", u32(1)], ["eot", u32(1)]), 1);
  assert.deepEqual(await eosOf(["eos", u32(2 ** 32 - 1)]), null);
});

Deno.test("shortest() finds the decimal that was rounded to f32", () => {
  for (const value of [1e-5, 1e-6, 0.1, 10_000, 1_000_000, 1.19, 3.4e38]) {
    assert.equal(shortest(Math.fround(value)), value);
  }
  assert.equal(shortest(0.1), 0.1);
});

Deno.test("checkpointName() tells each family's tensors, and none that it lacks", () => {
  const name = (architecture: string, gguf: string) => checkpointName(architecture, gguf);
  const plain = { turned: null, added: 0 };
  assert.deepEqual(name("llama", "blk.3.attn_k.weight"), {
    name: "model.layers.3.self_attn.k_proj.weight",
    turned: "keys",
    added: 0,
  });
  assert.deepEqual(name("qwen2", "blk.3.attn_k.bias"), {
    ...plain,
    name: "model.layers.3.self_attn.k_proj.bias",
  });
  assert.deepEqual(name("phi3", "blk.0.ffn_up.weight"), {
    ...plain,
    name: "model.layers.0.mlp.gate_up_proj.weight",
  });
  assert.deepEqual(name("llama", "blk.0.ffn_norm.weight"), {
    ...plain,
    name: "model.layers.0.post_attention_layernorm.weight",
  });
  assert.deepEqual(name("gemma2", "blk.0.ffn_norm.weight"), {
    turned: null,
    added: 1,
    name: "model.layers.0.pre_feedforward_layernorm.weight",
  });
  assert.deepEqual(name("gemma3", "blk.7.attn_q_norm.weight"), {
    turned: null,
    added: 1,
    name: "model.layers.7.self_attn.q_norm.weight",
  });
  assert.deepEqual(name("gemma3", "output_norm.weight"), {
    turned: null,
    added: 1,
    name: "model.norm.weight",
  });
  assert.equal(name("llama", "rope_freqs.weight"), null);
  for (
    const other of [
      "blk.0.ffn_gate_exps.weight",
      "blk.0.constructor.weight",
      "toString.weight",
      "blk.x.attn_q.weight",
    ]
  ) {
    assert.equal(name("llama", other), undefined, other);
  }
});

Deno.test("turnedRow() pairs rows half a head apart, head by head", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((row) => turnedRow(row, 6)), [0, 2, 4, 1, 3, 5]);
  assert.deepEqual([8, 9, 10, 11].map((row) => turnedRow(row, 4)), [8, 10, 9, 11]);
});
