import assert from "node:assert/strict";
import { linearPaths, weightShapes } from "../../src/models/registry.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { arithmetic, assertClose, tensor } from "../helpers/close.ts";
import { decoderReference } from "../helpers/decoder_reference.ts";
import { onEveryAdapter } from "../helpers/gpu.ts";
import {
  factor,
  GEMMA_2B,
  openNf4,
  shapeStep,
  spreadBatch,
  TARGET,
  writeSeededModel,
} from "./gemma_shape.ts";

/** As the 2B, the vocabulary too, with layers so narrow that a test can wait; its embedding exceeds a binding yet. */
const NARROW = {
  ...GEMMA_2B,
  hidden_size: 160,
  intermediate_size: 352,
  head_dim: 28,
  query_pre_attn_scalar: 28,
};
const TOKENS = 6;

async function open() {
  const folder = new MemoryFolder("narrow");
  await writeSeededModel(folder, NARROW);
  return await openNf4(folder);
}

let f64: Promise<ReturnType<typeof decoderReference>> | null = null;

/** The step in f64, on the values of the 4-bit codes; gradients are those of `factors`. */
function reference(factors: ReadonlyMap<string, Float32Array>) {
  return f64 ??= (async () => {
    const { config, family, weights } = await open();
    const base = new Map<string, Float32Array>();
    for (const name of weightShapes(family, config).keys()) base.set(name, await weights.readF32(name));
    const batch = spreadBatch(TOKENS, config.vocabSize);
    const targets = new Map(linearPaths(family, config.numHiddenLayers).map((path) => [path, TARGET]));
    return decoderReference(config, { base, factors, targets }, batch, 1 / (TOKENS - 1));
  })();
}

/** The reference names factors `PATH A` and `PATH B`. */
function referenceName(key: string): string {
  return key.replace(/^base_model\.model\.(.+)\.lora_([AB])\.weight$/, "$1 $2");
}

for (const name of ["llvmpipe", "hardware"] as const) {
  onEveryAdapter(
    `a Gemma 2 of 256,000 tokens trains in NF4 within WebGPU's default limits as in f64, by variant ${name}`,
    async ({ gpu }) => {
      const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
      assert.deepEqual([maxStorageBufferBindingSize, maxBufferSize], [128 << 20, 256 << 20]);
      const model = await open(), { vocabSize, hiddenSize } = model.config;
      assert.ok(4 * vocabSize * hiddenSize > maxStorageBufferBindingSize);
      const batch = spreadBatch(TOKENS, vocabSize);
      const found = await shapeStep(gpu, model, batch, { packed: true, variants: VARIANTS[name] });
      assert.ok(found.plan.some(({ what }) => what === "base weights in nf4_double"));
      const keys = [...found.grads.keys()];
      const want = await reference(
        new Map(keys.map((key) => [referenceName(key), factor(key, found.grads.get(key)!.length)])),
      );
      assertClose([found.loss], [want.loss / (TOKENS - 1)], arithmetic("f32", "f32", vocabSize));
      for (const key of keys) {
        assertClose(found.grads.get(key)!, want.grads.get(referenceName(key))!, tensor("f32"));
      }
    },
    ["deno-default"],
  );
}
