import assert from "node:assert/strict";
import { ModelFormatError, UnsupportedModelError } from "../../src/errors.ts";
import { parseModelConfig, readModelConfig } from "../../src/models/config.ts";
import { checkWeights, linearPaths, MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

const LLAMA = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 128,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: [2, 3],
  pad_token_id: null,
  torch_dtype: "bfloat16",
};

const PLAIN_LAYER = {
  window: Infinity,
  rope: { rotaryDim: 16, theta: 500000, scaling: { type: "default" } },
};

const LLAMA3_ROPE = {
  rope_type: "llama3",
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

const parse = (fields: Record<string, unknown>) =>
  parseModelConfig(JSON.stringify({ ...LLAMA, ...fields }), "tiny/config.json");

Deno.test("readModelConfig() reads the fields of a Llama", async () => {
  const config = await readModelConfig(new MemoryFolder("tiny", { "config.json": JSON.stringify(LLAMA) }));
  assert.deepEqual(config, {
    modelType: "llama",
    hiddenSize: 64,
    intermediateSize: 128,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    headDim: 16,
    vocabSize: 128,
    maxPositionEmbeddings: 512,
    rmsNormEps: 1e-5,
    layers: [PLAIN_LAYER, PLAIN_LAYER],
    attentionScale: 0.25,
    attentionSoftcap: null,
    logitSoftcap: null,
    activation: "silu",
    embeddingScale: 1,
    biased: [],
    tieWordEmbeddings: true,
    bosTokenId: 1,
    eosTokenIds: [2, 3],
    padTokenId: null,
    raw: LLAMA,
  });
});

Deno.test("readModelConfig() says so when there is no config.json", async () => {
  await assert.rejects(readModelConfig(new MemoryFolder("tiny")), { name: "StorageNotFoundError" });
});

Deno.test("parseModelConfig() takes transformers' defaults for what is absent", () => {
  const config = parse({
    num_key_value_heads: undefined,
    max_position_embeddings: undefined,
    rms_norm_eps: undefined,
    rope_theta: undefined,
    tie_word_embeddings: undefined,
    eos_token_id: undefined,
    pad_token_id: -1,
  });
  assert.equal(config.numKeyValueHeads, 4);
  assert.equal(config.maxPositionEmbeddings, 2048);
  assert.equal(config.rmsNormEps, 1e-6);
  assert.equal(config.layers[0]!.rope.theta, 10000);
  assert.equal(config.tieWordEmbeddings, false);
  assert.deepEqual(config.eosTokenIds, []);
  assert.equal(config.padTokenId, null);
});

Deno.test("parseModelConfig() keeps a head_dim that is not hidden_size / num_attention_heads", () => {
  assert.equal(parse({ head_dim: 8 }).headDim, 8);
  assert.equal(parse({ head_dim: 8, hidden_size: 30 }).headDim, 8);
});

Deno.test("parseModelConfig() reads rope scaling in the spellings of transformers 4, old 4 and 5 alike", () => {
  const want = {
    type: "llama3",
    factor: 32,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  };
  const { rope_type: type, ...rest } = LLAMA3_ROPE;
  const spellings = [
    { rope_scaling: LLAMA3_ROPE },
    { rope_scaling: { type, ...rest } },
    { rope_theta: undefined, rope_parameters: { ...LLAMA3_ROPE, rope_theta: 500000 } },
    { rope_theta: 500000, rope_parameters: LLAMA3_ROPE, rope_scaling: null },
  ];
  for (const spelling of spellings) {
    const { theta, scaling } = parse(spelling).layers[1]!.rope;
    assert.deepEqual(scaling, want);
    assert.equal(theta, 500000);
  }
});

Deno.test("parseModelConfig() refuses by name what would change the mathematics", () => {
  const cases: readonly [Record<string, unknown>, RegExp][] = [
    [{ model_type: "gpt2" }, /model_type "gpt2" is not supported \(supported: llama, mistral/],
    [
      { hidden_act: "gelu" },
      /hidden_act "gelu" is not supported \(supported: silu, swish, gelu_pytorch_tanh\)/,
    ],
    [{ rope_interleaved: true }, /rope_interleaved true is not supported/],
    [{ layer_types: ["full_attention", "chunked_attention"] }, /layer_types with "chunked_attention" is not/],
    [{ model_type: "mistral", attention_bias: true }, /attention_bias true is not supported/],
    [{ model_type: "qwen3", mlp_bias: true }, /mlp_bias true is not supported/],
    [{ quantization_config: { quant_method: "awq" } }, /a quantization_config of "awq" is not supported/],
    [
      { rope_scaling: { type: "dynamic", factor: 2 } },
      /rope_type "dynamic", by which the longest row of a batch decides all angles, is not supported/,
    ],
    [
      { rope_parameters: { rope_type: "proportional" } },
      /rope_parameters with rope_type "proportional" is not[^]*default, linear, llama3, yarn, longrope\)/,
    ],
  ];
  for (const [fields, message] of cases) {
    assert.throws(() => parse(fields), (error: Error) => {
      assert.ok(error instanceof UnsupportedModelError, error.message);
      assert.match(error.message, /^Cannot use the model of "tiny\/config.json": /);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("parseModelConfig() names the field, what it is and what it should be", () => {
  const cases: readonly [Record<string, unknown>, RegExp][] = [
    [{ model_type: undefined }, /model_type is missing, a string is wanted/],
    [{ hidden_size: undefined }, /hidden_size is missing, a whole number of 1 or more is wanted/],
    [{ vocab_size: 1.5 }, /vocab_size is 1.5, a whole/],
    [{ num_hidden_layers: 0 }, /num_hidden_layers is 0, a whole/],
    [{ intermediate_size: "128" }, /intermediate_size is "128", a whole/],
    [
      { num_key_value_heads: 3 },
      /num_key_value_heads is 3, a divisor of num_attention_heads \(4\) is wanted/,
    ],
    [{ hidden_size: 66 }, /hidden_size is 66, a multiple of num_attention_heads \(4\)/],
    [{ head_dim: 7 }, /head_dim is 7, an even width/],
    [{ hidden_size: 12 }, /hidden_size is 12, an even width per head \(not 3\)/],
    [{ rms_norm_eps: 0 }, /rms_norm_eps is 0, a number above 0/],
    [{ tie_word_embeddings: 1 }, /tie_word_embeddings is 1, true or false/],
    [{ eos_token_id: 128 }, /eos_token_id is 128, null, a token id below vocab_size \(128\) or a list/],
    [{ eos_token_id: [2, "3"] }, /eos_token_id is \[2,"3"\]/],
    [{ rope_scaling: 8 }, /rope_scaling is 8, an object/],
    [{ rope_scaling: { ...LLAMA3_ROPE, factor: null } }, /rope_scaling.factor is null, a number above 0/],
    [
      { rope_scaling: { ...LLAMA3_ROPE, low_freq_factor: 4 } },
      /rope_scaling.high_freq_factor is 4, more than low_/,
    ],
  ];
  for (const [fields, message] of cases) {
    assert.throws(() => parse(fields), (error: Error) => {
      assert.ok(error instanceof ModelFormatError, error.message);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.throws(() => parseModelConfig("{", "c"), /Cannot read "c": it is not JSON/);
  assert.throws(() => parseModelConfig("[1]", "c"), /it is \[1\], an object is wanted/);
});

Deno.test("linearPaths() names the seven linear maps of every layer of a Llama", () => {
  const paths = linearPaths(MODEL_FAMILIES.get("llama")!, 2);
  assert.equal(paths.length, 14);
  assert.equal(paths[0], "model.layers.0.self_attn.q_proj");
  assert.equal(paths[13], "model.layers.1.mlp.down_proj");
});

Deno.test("weightShapes() follows from the config, with a head only where it is not tied", () => {
  const family = MODEL_FAMILIES.get("llama")!;
  const shapes = weightShapes(family, parse({ head_dim: 8, tie_word_embeddings: false }));
  assert.equal(shapes.size, 2 * 9 + 3);
  assert.deepEqual(shapes.get("model.embed_tokens.weight"), [128, 64]);
  assert.deepEqual(shapes.get("model.layers.1.self_attn.q_proj.weight"), [32, 64]);
  assert.deepEqual(shapes.get("model.layers.1.self_attn.v_proj.weight"), [16, 64]);
  assert.deepEqual(shapes.get("model.layers.1.self_attn.o_proj.weight"), [64, 32]);
  assert.deepEqual(shapes.get("model.layers.1.mlp.up_proj.weight"), [128, 64]);
  assert.deepEqual(shapes.get("model.layers.1.mlp.down_proj.weight"), [64, 128]);
  assert.deepEqual(shapes.get("lm_head.weight"), [128, 64]);
  assert.equal(weightShapes(family, parse({ tie_word_embeddings: true })).has("lm_head.weight"), false);
});

Deno.test("checkWeights() names the tensor that is missing or of another shape, and allows more", () => {
  const family = MODEL_FAMILIES.get("llama")!, config = parse({});
  const infos = new Map([...weightShapes(family, config)].map(([name, shape]) => [name, { shape }]));
  infos.set("model.layers.0.self_attn.rotary_emb.inv_freq", { shape: [8] });
  checkWeights(family, config, infos, "tiny");
  infos.set("model.norm.weight", { shape: [63] });
  assert.throws(() => checkWeights(family, config, infos, "tiny"), {
    name: "ModelFormatError",
    message: 'Cannot use the model in "tiny": tensor "model.norm.weight" is [63], config.json asks for [64]',
  });
  infos.delete("model.norm.weight");
  assert.throws(
    () => checkWeights(family, config, infos, "tiny"),
    /"model.norm.weight" is missing, config.json/,
  );
});

const golden = new URL("../../../shared/golden/", import.meta.url);

for (const name of ["llama", "llama3rope"]) {
  Deno.test({
    name: `parseModelConfig() reads both spellings of ${name} as the same model (needs shared data)`,
    ignore: !exists(golden),
    fn: () => {
      const [current, legacy] = ["config.json", "config.legacy.json"].map((file) => {
        const { raw: _, ...config } = parseModelConfig(
          Deno.readTextFileSync(new URL(`${name}/base/${file}`, golden)),
          file,
        );
        return config;
      });
      assert.deepEqual(current, legacy);
      assert.equal(current!.layers[0]!.rope.scaling.type, name === "llama" ? "default" : "llama3");
    },
  });
}

function exists(url: URL): boolean {
  try {
    return Deno.statSync(url).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
