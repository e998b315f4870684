import assert from "node:assert/strict";
import { loraUpdates } from "../../src/checkpoint/adapter.ts";
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { mergedValues } from "../../src/checkpoint/merge.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { exportGguf } from "../../src/export/gguf_model.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { inverseFrequencies } from "../../src/models/rope.ts";
import { weightShapes } from "../../src/models/registry.ts";
import { decodeBlocks, encodeBlocks } from "../../src/quant/gguf_blocks.ts";
import { ggufType } from "../../src/quant/gguf_types.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { exported, FAMILIES, familyModel } from "./families.ts";

/** What a model computes with, but for names and rotary tables, which a file holds as f32. */
function facts({ raw: _, modelType: __, eosTokenIds: ___, layers, ...rest }: ModelConfig) {
  return { ...rest, windows: layers.map(({ window }) => window) };
}

for (const modelType of Object.keys(FAMILIES)) {
  Deno.test(`exportGguf() of a ${modelType} reads back: config, tokenizer and every value`, async () => {
    const model = await familyModel(modelType, { tied: modelType.startsWith("gemma") }), { base } = model;
    const { gguf } = await exported(model, "F32");
    assert.equal(gguf.config.modelType, modelType);
    assert.deepEqual(facts(gguf.config), facts(base.config));
    assert.deepEqual(gguf.config.eosTokenIds, [258, 260]); // the end of a turn too
    for (const [i, { rope }] of base.config.layers.entries()) {
      const back = gguf.config.layers[i]!.rope;
      assert.equal(back.rotaryDim, rope.rotaryDim);
      for (const length of [1, 40]) {
        const want = inverseFrequencies(rope, length);
        assertClose(inverseFrequencies(back, length), want, arithmetic("f32", "f32", 1));
      }
    }
    const added = modelType.startsWith("gemma");
    for (const name of weightShapes(base.family, base.config).keys()) {
      const want = await base.weights.readF32(name), found = await gguf.weights.readF32(name);
      // 1 is added in the file and taken off again
      const isNorm = added && name.endsWith("norm.weight");
      assertClose(
        found,
        isNorm ? want.map((value) => Math.fround(Math.fround(value + 1) - 1)) : want,
        exact(),
      );
    }
    const [before, after] = [await Tokenizer.load(base.folder), await Tokenizer.load(gguf.folder)];
    const text = "<|start|>user\nHeLLo, wörld 12345!\n\n\n  <|end|>";
    assert.deepEqual(
      after.encode(text, { addSpecialTokens: true }),
      before.encode(text, { addSpecialTokens: true }),
    );
    assert.equal(after.chatTemplate, before.chatTemplate);
    assert.deepEqual([after.bosToken, after.eosToken], [before.bosToken, before.eosToken]);
  });
}

for (const type of ["F32", "F16", "BF16", "Q8_0"] as const) {
  Deno.test(`exportGguf() merges in f64 and rounds once to ${type}`, async () => {
    const model = await familyModel("llama", { tied: false, dtype: "F32" }), { base } = model;
    const { gguf, written } = await exported(model, type, { adapted: true });
    const merged = mergedValues(base.weights, loraUpdates(tinyAdapter(base)));
    for (const [name, shape] of weightShapes(base.family, base.config)) {
      // 44 columns are no whole number of blocks
      const packs = shape.length > 1 && shape[1]! % 32 === 0;
      const stored = shape.length === 1 ? "F32" : type === "Q8_0" && !packs ? "F16" : type;
      const want = decodeBlocks(ggufType(stored), encodeBlocks(stored, await merged.readF32(name)));
      assertClose(await gguf.weights.readF32(name), want, exact());
    }
    assert.equal(written.unpacked.length, type === "Q8_0" ? 4 : 0); // o has 48 columns, down 44
    assert.notDeepEqual(
      await merged.readF32("model.layers.0.mlp.up_proj.weight"),
      await base.weights.readF32("model.layers.0.mlp.up_proj.weight"),
    );
  });
}

Deno.test("exportGguf() says what the file is, in the words of llama.cpp", async () => {
  const model = await familyModel("llama"), { root } = model;
  await exported(model, "Q8_0");
  const { metadata, infos } = await GgufFile.open(root.folder("out"), "model.gguf");
  const found = Object.fromEntries([
    "general.architecture",
    "general.type",
    "general.name",
    "general.file_type",
    "llama.vocab_size",
    "llama.rope.dimension_count",
    "llama.attention.head_count_kv",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.add_bos_token",
  ].map((key) => [key, metadata.get(key)]));
  assert.deepEqual(found, {
    "general.architecture": "llama",
    "general.type": "model",
    "general.name": "tiny",
    "general.file_type": 7,
    "llama.vocab_size": 261,
    "llama.rope.dimension_count": 12,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.eos_token_id": 258,
    "tokenizer.ggml.eot_token_id": 260,
    "tokenizer.ggml.add_bos_token": false,
  });
  const divisors = await (await GgufFile.open(root.folder("out"), "model.gguf")).readF32("rope_freqs.weight");
  assert.equal(divisors.length, 6);
  assert.equal(divisors[0], 1);
  assert.ok(Math.abs(divisors[5]! - 8) < 1e-5);
  assert.equal(infos.has("output.weight"), false); // tied
});

Deno.test("exportGguf() refuses what llama.cpp would compute otherwise", async () => {
  const refused = async (modelType: string, config: Record<string, unknown>, message: RegExp) => {
    const model = await familyModel(modelType, { config });
    await assert.rejects(exported(model, "F16"), { name: "UnsupportedModelError", message });
    assert.deepEqual(await model.root.folder("out").list(), []);
  };
  await refused(
    "gemma2",
    { query_pre_attn_scalar: 24 },
    /no place for query_pre_attn_scalar 24, only for 12$/,
  );
  await refused("gemma2", { final_logit_softcapping: null }, /final_logit_softcapping null, only for both$/);
  await refused(
    "gemma2",
    { layer_types: ["full_attention", "sliding_attention"] },
    /pattern of sliding layers/,
  );
  await refused(
    "gemma3_text",
    { attn_logit_softcapping: 50, final_logit_softcapping: 30 },
    /only for neither$/,
  );
  await refused(
    "gemma3_text",
    { sliding_window_pattern: 2 },
    /pattern of sliding layers, only for five of six$/,
  );
  await refused("qwen2", { hidden_act: "gelu_pytorch_tanh" }, /the activation gelu_tanh, only for silu$/);
  await refused("qwen3", { attention_bias: true }, /attention_bias true, only for false$/);
  const yarn = { rope_type: "yarn", factor: 4, beta_fast: 16 };
  await refused(
    "qwen2",
    { rope_scaling: yarn },
    /rope_type yarn with turns or an attention factor of its own/,
  );
  await refused("qwen2", { hidden_size: 32 }, /heads of 12, only for 8, the width by their number$/);
  await refused("qwen2", { ...FAMILIES.llama }, /rope_type llama3, only for default and linear$/);
});

Deno.test("exportGguf() of a llama with biases, stretched by yarn, reads back", async () => {
  const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32 };
  const config = { attention_bias: true, mlp_bias: true, rope_scaling: yarn };
  const model = await familyModel("llama", { config }),
    { base } = model,
    { gguf } = await exported(model, "F32");
  assert.deepEqual(facts(gguf.config), facts(base.config));
  assert.deepEqual(gguf.config.layers[0]!.rope.scaling, base.config.layers[0]!.rope.scaling);
  for (const name of weightShapes(base.family, base.config).keys()) {
    assertClose(await gguf.weights.readF32(name), await base.weights.readF32(name), exact());
  }
});

Deno.test("exportGguf() tells of a window that llama.cpp leaves out", async () => {
  const { written } = await exported(await familyModel("mistral"), "F16");
  assert.match(written.warnings.join(), /without its sliding window of 7 tokens/);
  const { written: gemma } = await exported(await familyModel("gemma2"), "F16");
  assert.deepEqual(gemma.warnings, []);
});

Deno.test("exportGguf() refuses a value that the type cannot hold, and leaves no file", async () => {
  const model = await familyModel("llama"), { base } = model;
  const update = { loraA: new Float32Array(32).fill(1), loraB: new Float32Array(44), rank: 1, scaling: 1 };
  update.loraB[5] = 1e5;
  const updates = new Map([["model.layers.1.mlp.up_proj.weight", update]]), out = new MemoryFolder("out");
  const source = { name: "tiny", base, updates, chatTemplate: null };
  await assert.rejects(exportGguf(out, "a.gguf", { source, type: "F16" }), {
    name: "RangeError",
    message: /up_proj.weight" as F16: the value at row 5, column 0 is 99999/,
  });
  assert.deepEqual(await out.list(), []);
  await exportGguf(out, "a.gguf", { source, type: "BF16" });
  assert.deepEqual(await out.list(), ["a.gguf"]);
});

Deno.test("exportGguf() stops at a signal and leaves what was there", async () => {
  const { base } = await familyModel("llama"), out = new MemoryFolder("out", { "a.gguf": "before" });
  const stop = new AbortController(), source = { name: "tiny", base, updates: new Map(), chatTemplate: null };
  let parts = 0;
  const onProgress = ({ bytes, totalBytes }: { bytes: number; totalBytes: number }) => {
    assert.ok(bytes <= totalBytes);
    if (++parts === 3) stop.abort(new Error("enough"));
  };
  await assert.rejects(
    exportGguf(out, "a.gguf", { source, type: "F16", signal: stop.signal, onProgress }),
    /enough/,
  );
  assert.equal(parts, 3);
  assert.equal(new TextDecoder().decode(await (await out.open("a.gguf")).read(0, 6)), "before");
});
