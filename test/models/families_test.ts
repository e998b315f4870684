import assert from "node:assert/strict";
import { ModelFormatError, UnsupportedModelError } from "../../src/errors.ts";
import { type ModelConfig, parseModelConfig } from "../../src/models/config.ts";
import { linearPaths, MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";

/** Sizes as they stand in every config.json; no two are the same. */
const SIZES = {
  hidden_size: 32,
  intermediate_size: 44,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 261,
};

const parse = (fields: Record<string, unknown>): ModelConfig =>
  parseModelConfig(JSON.stringify({ ...SIZES, ...fields }), "tiny/config.json");
const windows = ({ layers }: ModelConfig) => layers.map(({ window }) => window);
const all = (window: number) => Array(6).fill(window);

Deno.test("a Mistral's layers all slide, unless its config.json says null", () => {
  assert.deepEqual(windows(parse({ model_type: "mistral" })), all(4096));
  assert.deepEqual(windows(parse({ model_type: "mistral", sliding_window: 8 })), all(8));
  assert.deepEqual(windows(parse({ model_type: "mistral", sliding_window: null })), all(Infinity));
});

Deno.test("a Qwen's layers slide from max_window_layers on, where use_sliding_window says so", () => {
  const qwen = { model_type: "qwen2", sliding_window: 8, max_window_layers: 4 };
  assert.deepEqual(windows(parse(qwen)), all(Infinity));
  const sliding = parse({ ...qwen, use_sliding_window: true });
  assert.deepEqual(windows(sliding), [Infinity, Infinity, Infinity, Infinity, 8, 8]);
  // as transformers 5 writes it; such files were once refused as if they had no window
  const layer_types = [..."fsffss"].map((kind) => kind === "s" ? "sliding_attention" : "full_attention");
  const named = parse({ ...qwen, use_sliding_window: true, layer_types });
  assert.deepEqual(windows(named), [Infinity, 8, Infinity, Infinity, 8, 8]);
  const mistral = parse({ model_type: "mistral", sliding_window: 8, layer_types });
  assert.deepEqual(windows(mistral), windows(named));
});

Deno.test("qwen2 has biases on queries, keys and values, which config.json does not mention", () => {
  const family = MODEL_FAMILIES.get("qwen2")!;
  const shapes = weightShapes(family, parse({ model_type: "qwen2", head_dim: 12 }));
  assert.deepEqual(shapes.get("model.layers.5.self_attn.q_proj.bias"), [48]);
  assert.deepEqual(shapes.get("model.layers.5.self_attn.v_proj.bias"), [24]);
  assert.equal([...shapes.keys()].filter((name) => name.endsWith(".bias")).length, 18);
});

Deno.test("attention_bias and mlp_bias give the maps biases where transformers' model has the setting", () => {
  const biasesOf = (fields: Record<string, unknown>) => {
    const config = parse(fields), shapes = weightShapes(MODEL_FAMILIES.get(config.modelType)!, config);
    const names = [...shapes.keys()].filter((name) => name.endsWith(".bias") && name.includes("layers.3."));
    return names.map((name) => [name.split(".").at(-2), ...shapes.get(name)!]);
  };
  const attention = [["q_proj", 32], ["k_proj", 16], ["v_proj", 16], ["o_proj", 32]];
  assert.deepEqual(biasesOf({ model_type: "llama" }), []);
  assert.deepEqual(biasesOf({ model_type: "llama", attention_bias: true }), attention);
  assert.deepEqual(
    biasesOf({ model_type: "llama", mlp_bias: true }),
    [["gate_proj", 44], ["up_proj", 44], ["down_proj", 32]],
  );
  for (const model_type of ["qwen3", "gemma2", "gemma3_text"]) {
    assert.deepEqual(biasesOf({ model_type, head_dim: 8, attention_bias: true }), attention, model_type);
  }
});

Deno.test("a Qwen stretched by yarn has transformers' defaults", () => {
  const yarn = { factor: 4, original_max_position_embeddings: 32 };
  const spellings = [
    { rope_theta: 500, rope_scaling: { type: "yarn", ...yarn } },
    { rope_parameters: { rope_type: "yarn", rope_theta: 500, ...yarn } },
    { rope_theta: 500, rope_scaling: { type: "yarn" }, original_max_position_embeddings: 32 },
  ];
  for (const spelling of spellings) {
    const config = parse({ model_type: "qwen2", max_position_embeddings: 128, ...spelling });
    assert.deepEqual(config.layers[0]!.rope, {
      rotaryDim: 8,
      theta: 500,
      scaling: {
        type: "yarn",
        factor: 4,
        betaFast: 32,
        betaSlow: 1,
        truncate: true,
        originalMaxPositionEmbeddings: 32,
        attentionFactor: 0.1 * Math.log(4) + 1,
      },
    });
  }
  const scales = { mscale: 2, mscale_all_dim: 0.5 };
  const config = parse({ model_type: "llama", rope_scaling: { type: "yarn", ...yarn, ...scales } });
  const { scaling } = config.layers[0]!.rope;
  assert.equal(
    "attentionFactor" in scaling && scaling.attentionFactor,
    (0.2 * Math.log(4) + 1) / (0.05 * Math.log(4) + 1),
  );
});

Deno.test("the first context stands beside the rotary settings before it stands in them", () => {
  const factors = { short_factor: [1, 1, 1, 1], long_factor: [2, 2, 2, 2] };
  const inside = { type: "yarn", original_max_position_embeddings: 8, ...factors };
  const config = parse({
    model_type: "phi3",
    original_max_position_embeddings: 16,
    max_position_embeddings: 32,
    rope_scaling: inside,
  });
  const { scaling } = config.layers[0]!.rope;
  assert.equal(scaling.type, "longrope", "a Phi-3's yarn is longrope");
  assert.equal("originalMaxPositionEmbeddings" in scaling && scaling.originalMaxPositionEmbeddings, 16);
});

Deno.test("qwen3 norms heads of a width of their own", () => {
  const config = parse({ model_type: "qwen3" });
  assert.equal(config.headDim, 128);
  const shapes = weightShapes(MODEL_FAMILIES.get("qwen3")!, config);
  assert.deepEqual(shapes.get("model.layers.0.self_attn.q_norm.weight"), [128]);
  assert.deepEqual(shapes.get("model.layers.0.self_attn.k_norm.weight"), [128]);
  assert.deepEqual(shapes.get("model.layers.0.self_attn.o_proj.weight"), [32, 512]);
});

Deno.test("a Gemma 2 caps, scales by a number of its own and slides in every other layer, from the first", () => {
  const config = parse({ model_type: "gemma2", query_pre_attn_scalar: 144, hidden_act: "gelu" });
  assert.deepEqual(windows(config), [4096, Infinity, 4096, Infinity, 4096, Infinity]);
  assert.equal(config.attentionScale, 1 / 12);
  assert.deepEqual([config.attentionSoftcap, config.logitSoftcap], [50, 30]);
  assert.equal(config.activation, "gelu_tanh");
  assert.equal(config.tieWordEmbeddings, true);
  const uncapped = parse({ model_type: "gemma2", attn_logit_softcapping: null });
  assert.deepEqual([uncapped.attentionSoftcap, uncapped.logitSoftcap], [null, 30]);
  assert.equal(MODEL_FAMILIES.get("gemma2")!.normOffset, 1);
});

Deno.test("a Gemma's embedding scale is √C, rounded to the element type that it was trained in", () => {
  const scale = (hidden_size: number, dtype?: string) =>
    parse({ model_type: "gemma3_text", hidden_size, head_dim: 8, torch_dtype: dtype }).embeddingScale;
  // what PyTorch gives for torch.tensor(C ** 0.5).to(dtype)
  assert.equal(scale(3072, "bfloat16"), 55.5);
  assert.equal(scale(1152, "bfloat16"), 34);
  assert.equal(scale(640, "bfloat16"), 25.25);
  assert.equal(scale(2304, "bfloat16"), 48);
  assert.equal(scale(640, "float16"), 25.296875);
  assert.equal(scale(640), Math.fround(Math.sqrt(640)));
});

Deno.test("a Gemma 3 turns sliding layers by a theta of their own, and stretches the others only", () => {
  const linear = { rope_type: "linear", factor: 8 };
  const spellings = [
    { rope_scaling: linear, sliding_window_pattern: 3 },
    {
      rope_parameters: {
        full_attention: { ...linear, rope_theta: 1_000_000 },
        sliding_attention: { rope_type: "default", rope_theta: 10_000 },
      },
      layer_types: [..."ssfssf"].map((kind) => kind === "s" ? "sliding_attention" : "full_attention"),
    },
  ];
  for (const spelling of spellings) {
    const config = parse({ model_type: "gemma3_text", sliding_window: 512, ...spelling });
    assert.deepEqual(windows(config), [512, 512, Infinity, 512, 512, Infinity]);
    const [sliding, , full] = config.layers;
    const plain = { rotaryDim: 256, theta: 10_000, scaling: { type: "default" } };
    assert.deepEqual(sliding!.rope, plain);
    assert.deepEqual(full!.rope, { ...plain, theta: 1_000_000, scaling: { type: "linear", factor: 8 } });
    assert.equal(config.layers[4]!.rope, sliding!.rope, "layers of one kind share their angles");
  }
});

Deno.test("gemma3 reads the text part of a model with eyes", () => {
  const text = { num_hidden_layers: 6, hidden_size: 640, sliding_window: 1024 };
  const config = parseModelConfig(
    JSON.stringify({
      model_type: "gemma3",
      torch_dtype: "bfloat16",
      eos_token_id: [1, 106],
      text_config: text,
      vision_config: {},
    }),
    "tiny/config.json",
  );
  assert.deepEqual(config.eosTokenIds, [1, 106]);
  assert.deepEqual([config.vocabSize, config.headDim, config.embeddingScale], [262_208, 256, 25.25]);
  const paths = linearPaths(MODEL_FAMILIES.get("gemma3")!, 1);
  assert.equal(paths[0], "language_model.model.layers.0.self_attn.q_proj");
});

Deno.test("a Phi-3's fused maps are one map each", () => {
  const config = parse({ model_type: "phi3" }), family = MODEL_FAMILIES.get("phi3")!;
  assert.deepEqual(linearPaths(family, 1).map((path) => path.split(".").at(-1)), [
    "qkv_proj",
    "o_proj",
    "gate_up_proj",
    "down_proj",
  ]);
  const shapes = weightShapes(family, config);
  assert.deepEqual(shapes.get("model.layers.0.self_attn.qkv_proj.weight"), [32 + 16 + 16, 32]);
  assert.deepEqual(shapes.get("model.layers.0.mlp.gate_up_proj.weight"), [88, 32]);
  assert.deepEqual(windows(config), all(Infinity));
  assert.equal(config.rmsNormEps, 1e-5);
});

Deno.test("a Phi-3 of long context turns a part of each head, by longrope's factors", () => {
  const short_factor = [1, 1.5, 2], long_factor = [4, 6, 8];
  const config = parse({
    model_type: "phi3",
    partial_rotary_factor: 0.75,
    max_position_embeddings: 131_072,
    rope_scaling: { type: "longrope", short_factor, long_factor },
  });
  assert.deepEqual(config.layers[0]!.rope, {
    rotaryDim: 6,
    theta: 10_000,
    scaling: {
      type: "longrope",
      shortFactors: short_factor,
      longFactors: long_factor,
      originalMaxPositionEmbeddings: 4096,
      attentionFactor: Math.sqrt(1 + Math.log(32) / Math.log(4096)),
    },
  });
});

Deno.test("families refuse by name what they do not implement, and say what is wrong", () => {
  const cases: readonly [
    Record<string, unknown>,
    typeof ModelFormatError | typeof UnsupportedModelError,
    RegExp,
  ][] = [
    [
      { model_type: "gemma2", hidden_activation: "relu" },
      UnsupportedModelError,
      /hidden_activation "relu" is not supported/,
    ],
    [
      { model_type: "gemma3_text", use_bidirectional_attention: true },
      UnsupportedModelError,
      /use_bidirectional_attention true is not supported/,
    ],
    [
      { model_type: "qwen2", rope_scaling: { type: "yarn", factor: 4, beta_fast: 1, beta_slow: 2 } },
      ModelFormatError,
      /rope_scaling.beta_fast is 1, at least beta_slow \(2\) is wanted/,
    ],
    [
      { model_type: "phi3", attention_bias: true },
      UnsupportedModelError,
      /attention_bias true is not supported \(supported: false\)/,
    ],
    [
      { model_type: "qwen2", num_hidden_layers: 1, layer_types: ["sliding_attention"] },
      ModelFormatError,
      /layer_types is \[.*, only full_attention, as no sliding_window is set or in use, is wanted/,
    ],
    [
      { model_type: "llama", layer_types: ["full_attention"] },
      ModelFormatError,
      /layer_types is \["full_attention"\], a list of 6 kinds of attention/,
    ],
    [
      { model_type: "phi3", rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      ModelFormatError,
      /rope_scaling.short_factor is \[1\], a list of 4 numbers above 0 is wanted/,
    ],
    [
      { model_type: "phi3", partial_rotary_factor: 0.4 },
      ModelFormatError,
      /partial_rotary_factor is 0.4, a share of the head's 8 elements that is even is wanted/,
    ],
  ];
  for (const [fields, type, message] of cases) {
    assert.throws(() => parse(fields), (error: Error) => {
      assert.equal(error.constructor, type, error.message);
      assert.match(error.message, message);
      return true;
    });
  }
});
