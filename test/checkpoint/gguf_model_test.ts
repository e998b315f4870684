import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mergeModel } from "../../src/checkpoint/merge.ts";
import { readLicense } from "../../src/checkpoint/model_card.ts";
import { openGgufModel } from "../../src/checkpoint/gguf_model.ts";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { ModelFormatError, UnsupportedModelError } from "../../src/errors.ts";
import { parseModelConfig } from "../../src/models/config.ts";
import { decodeBlocks, encodeBlocks } from "../../src/quant/gguf_blocks.ts";
import { ggufType } from "../../src/quant/gguf_types.ts";
import { readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { assertClose, exact } from "../helpers/close.ts";
import { ggufBytes, type GgufEntry, type GgufTensorToWrite, u32 } from "../helpers/gguf_file.ts";
import { TINY_GGUF_ENTRIES, tinyGguf, tinyTokenizerEntries } from "../helpers/tiny_gguf.ts";
import { chatTokenizer } from "../helpers/tiny_tokenizer.ts";

const open = (bytes: Uint8Array) => openGgufModel(new MemoryFolder("m", { "w.gguf": bytes }), "w.gguf");

Deno.test("openGgufModel() gives the config, tokenizer and licence of the model that the file was made from", async () => {
  const { bytes, folder } = await tinyGguf();
  const model = await open(bytes);
  const { raw: _, ...got } = parseModelConfig(await readText(model.folder, "config.json"), "gguf");
  const { raw: __, ...want } = parseModelConfig(await readText(folder, "config.json"), "hf");
  assert.deepEqual(got, want);
  const [tokenizer, original] = [await Tokenizer.load(model.folder), await chatTokenizer()];
  for (const value of ["Hello, wörld!\n\n  12 345", "<|start|>user\nhi<|end|>\n", "\u{1f600} \n\n\n"]) {
    assert.deepEqual(tokenizer.encode(value), original.encode(value));
    assert.equal(tokenizer.decode(tokenizer.encode(value)), value);
  }
  assert.deepEqual([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.vocabSize], [257, 258, 261]);
  assert.equal(tokenizer.chatTemplate, original.chatTemplate);
  assert.deepEqual(await readLicense(model.folder), { license: "mit" });
});

Deno.test("openGgufModel() gives each tensor under its own name, its rows turned back", async () => {
  for (const type of ["F32", "F16", "Q8_0"]) {
    const { bytes, folder } = await tinyGguf(type);
    const { weights } = await open(bytes), original = await WeightFiles.open(folder);
    assert.deepEqual([...weights.infos.keys()].sort(), [...original.infos.keys()].sort());
    for (const [name, { shape }] of original.infos) {
      const packed = weights.typeOf(name).name;
      const want = decodeBlocks(ggufType(packed), encodeBlocks(packed, await original.readF32(name)));
      assert.deepEqual(weights.infos.get(name)!.shape, shape);
      assertClose(await weights.readF32(name), want, exact());
    }
  }
});

Deno.test("GgufWeights reads parts of turned heads, as values, blocks and bytes", async () => {
  const { bytes } = await tinyGguf("Q8_0");
  const { weights } = await open(bytes);
  const name = "model.layers.1.self_attn.q_proj.weight", whole = await weights.readF32(name); // [48, 32], heads of 12
  for (const [first, count] of [[0, 48], [5, 1], [7, 20], [11, 2], [47, 1], [3, 0]] as const) {
    const want = whole.slice(first * 32, (first + count) * 32);
    assertClose(await weights.readRowsF32(name, first, count), want, exact());
    const blocks = await weights.readRows(name, first, count);
    assert.equal(blocks.length, count * 34);
    assertClose(decodeBlocks(ggufType("Q8_0"), blocks), want, exact());
  }
  const raw = await weights.readRaw(name);
  assert.deepEqual(raw, new Uint8Array(whole.buffer));
  assert.deepEqual(await weights.readRaw(name, 333, 1000), raw.slice(333, 1333));
  await assert.rejects(weights.readRowsF32(name, 40, 9), { name: "RangeError" });
  await assert.rejects(weights.readRaw(name, 0, raw.length + 1), {
    name: "RangeError",
    message: /it has 6144$/,
  });
  await assert.rejects(weights.readF32("lm_head.weight"), {
    name: "ModelFormatError",
    message: /none of that name/,
  });
});

Deno.test("mergeModel() writes a GGUF base as a folder that reads back the same", async () => {
  const { bytes } = await tinyGguf("Q8_0");
  const { folder, weights } = await open(bytes);
  const out = new MemoryFolder("merged");
  await mergeModel({ base: weights, baseFolder: folder, out, updates: new Map() });
  const merged = await WeightFiles.open(out);
  for (const name of weights.infos.keys()) {
    assertClose(await merged.readF32(name), await weights.readF32(name), exact());
  }
  assert.deepEqual(await out.list(), [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
});

/** The tiny file with other entries, or without those that are null. */
async function changed(
  changes: Readonly<Record<string, GgufEntry | null>>,
  tensors: readonly GgufTensorToWrite[] = [],
): Promise<Uint8Array> {
  const kept = [...TINY_GGUF_ENTRIES, ...tinyTokenizerEntries()].filter(([key]) =>
    !Object.hasOwn(changes, key)
  );
  const added = Object.entries(changes).flatMap(([key, entry]) => entry ? [[key, entry] as const] : []);
  const embedding = { name: "token_embd.weight", shape: [261, 1], type: 0, data: new Uint8Array(261 * 4) };
  return await Promise.resolve(ggufBytes({ entries: [...kept, ...added], tensors: [embedding, ...tensors] }));
}

const zeros = (name: string, shape: readonly number[], type = 0, bytes = 4) => {
  return { name, shape, type, data: new Uint8Array(bytes * shape.reduce((a, b) => a * b)) };
};

const REFUSED: readonly [
  string,
  Readonly<Record<string, GgufEntry | null>>,
  readonly GgufTensorToWrite[],
  RegExp,
][] = [
  [
    "no architecture",
    { "general.architecture": null },
    [],
    /"general.architecture" is missing, a string is wanted/,
  ],
  ["a missing size", { "llama.block_count": null }, [], /"llama.block_count" is missing, a whole number/],
  ["a size in words", { "llama.block_count": { type: 8, value: "two" } }, [], /"llama.block_count" is "two"/],
  ["heads that do not divide", { "llama.attention.head_count": u32(5) }, [
    zeros("blk.0.attn_q.weight", [48, 1]),
  ], /"blk.0.attn_q.weight" has 48 rows, 5 heads/],
  [
    "no vocabulary",
    { "tokenizer.ggml.tokens": null },
    [],
    /"tokenizer.ggml.tokens" is missing, a list of strings/,
  ],
  [
    "a token that occurs twice",
    { "tokenizer.ggml.tokens": { type: 9, element: 8, value: ["a", "b", "a"] } },
    [],
    /has "a" at 0 and at 2/,
  ],
  [
    "types for other tokens",
    { "tokenizer.ggml.token_type": { type: 9, element: 5, value: [1] } },
    [],
    /"tokenizer.ggml.token_type" is a list of 1, a list of 261 numbers/,
  ],
  [
    "a special token beyond the vocabulary",
    { "tokenizer.ggml.eos_token_id": u32(261) },
    [],
    /eos_token_id" is 261, the vocabulary has 261 tokens/,
  ],
  [
    "merges of one token",
    { "tokenizer.ggml.merges": { type: 9, element: 8, value: ["ab"] } },
    [],
    /"tokenizer.ggml.merges" has "ab" at 0/,
  ],
];

for (const [what, changes, tensors, message] of REFUSED) {
  Deno.test(`openGgufModel() refuses ${what}`, async () => {
    await assert.rejects(open(await changed(changes, tensors)), (error: Error) => {
      assert.ok(error instanceof ModelFormatError, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}

const UNSUPPORTED: typeof REFUSED = [
  [
    "another architecture",
    { "general.architecture": { type: 8, value: "mamba" } },
    [],
    /architecture "mamba" is not supported \(supported: llama, qwen2, qwen3, gemma2, gemma3, phi3\)/,
  ],
  ["experts", { "llama.expert_count": u32(8) }, [], /a mixture of experts is not supported/],
  [
    "a split model",
    { "split.count": u32(3) },
    [],
    /several files is not supported \(supported: one file; join them/,
  ],
  [
    "values narrower than keys",
    { "llama.attention.value_length": u32(8) },
    [],
    /values of 8 per head beside keys of 12/,
  ],
  [
    "a tensor of another kind of layer",
    {},
    [zeros("blk.0.ssm_a", [4])],
    /tensor "blk.0.ssm_a" is not supported/,
  ],
  [
    "a type that is not decoded",
    {},
    [zeros("output.weight", [1, 256], 22, 82 / 256)],
    /tensor "output.weight" is IQ2_S, and F32, F16/,
  ],
  ["a rotary table of its own", {}, [{
    name: "rope_freqs.weight",
    shape: [2],
    type: 0,
    data: new Uint8Array(Float32Array.of(1, 7).buffer),
  }], /a rope_freqs.weight of its own/],
  [
    "a tokenizer of another kind",
    { "tokenizer.ggml.model": { type: 8, value: "t5" } },
    [],
    /a tokenizer of kind "t5" is not supported \(supported: gpt2, llama\)/,
  ],
  [
    "an unknown way to cut text",
    { "tokenizer.ggml.pre": { type: 8, value: "viking" } },
    [],
    /"tokenizer.ggml.pre" of "viking" is not supported \(supported: gpt-2, smollm/,
  ],
];

for (const [what, changes, tensors, message] of UNSUPPORTED) {
  Deno.test(`openGgufModel() says that ${what} is not supported`, async () => {
    await assert.rejects(open(await changed(changes, tensors)), (error: Error) => {
      assert.ok(error instanceof UnsupportedModelError, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}

const smollm2 = Deno.env.get("LOWRANK_SMOLLM2_DIR");
const smollm2File = "SmolLM2-135M-Instruct.Q4_1.gguf";
const golden = new URL("../../../shared/golden/", import.meta.url).pathname;

Deno.test({
  name: "openGgufModel() gives SmolLM2's weights, config and ids (needs shared data and LOWRANK_SMOLLM2_DIR)",
  ignore: !smollm2 || !existsSync(`${smollm2}/../${smollm2File}`) || !existsSync(golden),
  fn: async () => {
    const folder = new LocalFolder(smollm2!), original = await WeightFiles.open(folder);
    const model = await openGgufModel(new LocalFolder(`${smollm2}/..`), smollm2File);
    const { raw: _, ...got } = parseModelConfig(await readText(model.folder, "config.json"), "gguf");
    const { raw: __, ...want } = parseModelConfig(await readText(folder, "config.json"), "hf");
    assert.deepEqual(got, want);
    assert.deepEqual([...model.weights.infos.keys()].sort(), [...original.infos.keys()].sort());
    for (
      const name of ["model.layers.0.self_attn.q_proj.weight", "model.layers.29.self_attn.k_proj.weight"]
    ) {
      assertClose(await model.weights.readF32(name), await original.readF32(name), exact());
    }
    const tokenizer = await Tokenizer.load(model.folder);
    const { texts } = JSON.parse(await readText(new LocalFolder(golden), "tokenizer-golden.json"));
    for (const { text, ids, decoded } of texts) {
      assert.deepEqual(tokenizer.encode(text), ids);
      assert.equal(tokenizer.decode(ids), decoded);
    }
    await model.weights.close();
    await original.close();
  },
});
