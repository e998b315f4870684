import assert from "node:assert/strict";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { readModelConfig } from "../../src/models/config.ts";
import type { LoraTensor } from "../../src/models/lora_spec.ts";
import { linearPaths, MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";
import { type ModelBatch, TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { arithmetic, assertClose, tensor } from "../helpers/close.ts";
import { decoderReference } from "../helpers/decoder_reference.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler } from "../helpers/gpu.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

const WINDOW = 4;

/** Neighbouring maps have different ranks and scalings. */
const targetOf = (i: number) => ({ rank: 2 + i % 4, scaling: 2 / (1 + i % 3) });

/** config.json of each family, with every fact that sets it apart in play. */
const FAMILIES: Readonly<Record<string, Record<string, unknown>>> = {
  llama: {
    attention_bias: true,
    mlp_bias: true,
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 8, beta_fast: 2 },
  },
  mistral: { sliding_window: WINDOW },
  qwen2: { use_sliding_window: true, sliding_window: WINDOW, max_window_layers: 1 },
  qwen3: {},
  gemma2: {
    sliding_window: WINDOW,
    query_pre_attn_scalar: 24,
    attn_logit_softcapping: 3,
    final_logit_softcapping: 5,
  },
  gemma3_text: {
    sliding_window: WINDOW,
    sliding_window_pattern: 2,
    rope_scaling: { rope_type: "linear", factor: 8 },
  },
  phi3: {
    sliding_window: WINDOW,
    partial_rotary_factor: 0.67, // 8 of 12
    max_position_embeddings: 32,
    original_max_position_embeddings: 8,
    rope_scaling: { type: "longrope", short_factor: [1, 1, 1, 1], long_factor: [1, 2, 3, 4] },
  },
};

/** Two rows, one padded; every next token is trained. */
function batch(): ModelBatch {
  const lengths = [9, 6], length = 9;
  const inputIds = Uint32Array.from({ length: 2 * length }, (_, i) => (37 * i + 11) % 261);
  const targets = Int32Array.from(inputIds, (_, i) => {
    const row = Math.floor(i / length), t = i % length;
    return t + 1 < lengths[row]! ? inputIds[i + 1]! : -100;
  });
  return { rows: 2, length, inputIds, targets, lengths: Uint32Array.from(lengths) };
}

for (const [modelType, facts] of Object.entries(FAMILIES)) {
  onEachCompiler(
    `${modelType}: loss and every LoRA gradient match the f64 decoder`,
    async ({ gpu, pipelines }) => {
      const folder = new MemoryFolder(modelType), family = MODEL_FAMILIES.get(modelType)!;
      await writeTinyModel(folder, { config: { model_type: modelType, hidden_act: "silu", ...facts } });
      const config = await readModelConfig(folder), files = await WeightFiles.open(folder);
      const lora = {
        targets: new Map(
          linearPaths(family, config.numHiddenLayers).map((path, i) => [path, targetOf(i)]),
        ),
        nameOf: (path: string, which: LoraTensor) => `${path} ${which}`,
      };
      const device = { gpu, pipelines, variants: chooseVariants(gpu), limits: { rows: 2, length: 9 } };
      const model = new TrainableModel(config, family, lora, device);
      model.allocate();
      await model.decoder.load(files);
      const factors = new Map(model.pool.parameters.map((parameter, i) => {
        const values = ramp(parameter.value.bytes / 4, { phase: i, scale: 0.1 });
        model.pool.write(parameter, values);
        return [parameter.name, values];
      }));
      const base = new Map<string, Float32Array>();
      for (const name of weightShapes(family, config).keys()) base.set(name, await files.readF32(name));
      const rows = batch(), count = rows.targets.filter((target) => target >= 0).length;
      model.clearGradients();
      model.clearTotals();
      await model.accumulate(rows, 1 / count);
      const { summedLoss } = await model.totals();
      const want = decoderReference(config, { base, factors, targets: lora.targets }, rows, 1 / count);
      assertClose([summedLoss / count], [want.loss / count], arithmetic("f32", "f32", config.vocabSize));
      const grads = await model.pool.read("grads");
      assert.equal(grads.size, 2 * lora.targets.size);
      for (const [name, values] of grads) assertClose(values, want.grads.get(name)!, tensor("f32"));
      model.destroy();
    },
  );
}
