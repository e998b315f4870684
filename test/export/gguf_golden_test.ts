/**
 * What PEFT computes with a merged model, computed here from the exported GGUF file: tiny models of each family, with
 * their adapters.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { loraUpdates, readAdapter } from "../../src/checkpoint/adapter.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { exportGguf, type GgufModelType } from "../../src/export/gguf_model.ts";
import type { OpenDevice } from "../../src/fine_tune_job.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { readText } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { compareTensor } from "../golden/compare.ts";
import { precisionOf } from "../golden/golden_cases.ts";
import { batchOf, openModel, readInts } from "../golden/model_fixture.ts";
import { onGpu } from "../helpers/device.ts";

const SHARED = new URL("../../../shared/golden", import.meta.url).pathname;
const present = existsSync(SHARED);
const CASES = ["llama", "mistral", "qwen2", "qwen3", "gemma3", "phi3"];
const NEEDS = present ? "" : " (needs shared data)";

/** A tokenizer of no more than the goldens' 128 ids: the visible letters of ASCII, and three special tokens. */
function tokenizerFiles(): Record<string, string> {
  const letters = Array.from({ length: 94 }, (_, i) => String.fromCodePoint(33 + i));
  const vocab = Object.fromEntries([...letters, "Ġ", "Ċ"].map((token, i) => [token, 3 + i]));
  const special = ["<pad>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true }));
  return {
    "tokenizer.json": JSON.stringify({
      added_tokens: special,
      normalizer: null,
      post_processor: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab, merges: [] },
    }),
    "tokenizer_config.json": JSON.stringify({ bos_token: "<s>", eos_token: "</s>", pad_token: "<pad>" }),
  };
}

/** The golden base with a tokenizer, exported with its adapter; the file is `model.gguf`. */
async function exportedCase(name: string, type: GgufModelType): Promise<MemoryFolder> {
  const golden = new LocalFolder(`${SHARED}/${name}`), from = golden.folder("base");
  const root = new MemoryFolder(name, {
    ...tokenizerFiles(),
    "config.json": await readText(from, "config.json"),
    "model.safetensors": await Deno.readFile(`${SHARED}/${name}/base/model.safetensors`),
  });
  const base = await new ModelManager(() => root).open(name);
  const updates = loraUpdates(await readAdapter(golden.folder("adapter")));
  await exportGguf(root, "model.gguf", { source: { name, base, updates, chatTemplate: null }, type });
  await base.weights.close();
  return root;
}

for (const name of CASES) {
  const test = async ({ gpu, pipelines }: OpenDevice) => {
    const folder = await exportedCase(name, "F32"), variants = chooseVariants(gpu);
    const gguf = await new ModelManager(() => folder).open(`${name}/model.gguf`);
    const file = await SafetensorsFile.open(new LocalFolder(`${SHARED}/${name}`), "golden.safetensors");
    const [, rows, length] = file.infos.get("input_ids")!.shape as [number, number, number];
    const arrays = {
      ids: await readInts(file, "input_ids"),
      mask: await readInts(file, "attention_mask"),
      labels: await readInts(file, "labels"),
    };
    const { model, close } = await openModel(gpu, gguf, null, { rows, length }, { variants, pipelines });
    const batch = batchOf(arrays, 0, rows, length), want = await file.readF32("lora.merged.logits");
    // no file says what the weights were in; Gemma's factor of embeddings is that of bf16, as in those that are published
    const { ok, value, limit } = compareTensor(
      "logits",
      await model.logits(batch),
      want,
      batch.mask,
      name === "gemma3" ? "f16" : precisionOf(variants),
    );
    assert.ok(ok, `${value} of ${limit}`);
    await close();
    await file.close();
  };
  if (!present) {
    Deno.test({ name: `${name}: PEFT's merged logits from GGUF${NEEDS}`, ignore: true, fn: () => {} });
  } else onGpu(`${name}: the exported GGUF gives PEFT's merged logits`, test);
}

Deno.test({
  name: `gemma2: the golden's scale of scores has no place in GGUF${NEEDS}`,
  ignore: !present,
  fn: async () => {
    await assert.rejects(exportedCase("gemma2", "F32"), {
      message: /query_pre_attn_scalar 24, only for 16$/,
    });
  },
});
