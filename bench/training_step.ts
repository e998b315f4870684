/**
 * A training step to time: the median of warm steps, cold ones apart. Token ids are a fixed ramp and every position is
 * trained, so that nothing is skipped.
 *
 * @module
 */
import { loraKey } from "../src/checkpoint/adapter.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { parseModelConfig } from "../src/models/config.ts";
import { type ModelBatch, TrainableModel } from "../src/models/trainable_model.ts";
import { linearPaths, MODEL_FAMILIES } from "../src/models/registry.ts";
import type { Variants } from "../src/nn/variants.ts";
import { AdamW } from "../src/optim/adamw.ts";

const ADAMW = { weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 1 };

/** Times in seconds. */
export interface StepTimes {
  readonly tokens: number;
  /** The first step, which compiles the kernels. */
  readonly first: number;
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** A batch of full rows with a target at every position. */
export function fullBatch(model: TrainableModel, rows: number, length: number): ModelBatch {
  const { vocabSize } = model.decoder.config;
  const ids = { length: rows * length };
  return {
    rows,
    length,
    inputIds: Uint32Array.from(ids, (_, i) => (37 * i + 11) % vocabSize),
    targets: Int32Array.from(ids, (_, i) => (37 * i + 48) % vocabSize),
    lengths: new Uint32Array(rows).fill(length),
  };
}

/** Times a first step and `steps` warm ones of a model that is loaded. */
export async function timeSteps(model: TrainableModel, batch: ModelBatch, steps: number): Promise<StepTimes> {
  const optimizer = await AdamW.create(model.resources, model.pool, model.sinks, ADAMW);
  const tokens = batch.rows * batch.length;
  const seconds: number[] = [];
  for (let step = 0; step <= steps; step++) {
    const started = performance.now();
    model.clearGradients();
    model.clearTotals();
    await model.accumulate(batch, 1 / tokens);
    optimizer.step(step + 1, 1e-4);
    const { finite } = await model.totals();
    if (!finite) throw new Error(`Step ${step + 1} of the timed model is not finite`);
    seconds.push((performance.now() - started) / 1000);
  }
  const [first, ...warm] = seconds as [number, ...number[]];
  warm.sort((a, b) => a - b);
  return { tokens, first, median: warm[Math.floor(warm.length / 2)]!, least: warm[0]!, most: warm.at(-1)! };
}

/** Sizes of SmolLM2-135M, with as many layers as are asked for. */
const SMOLLM2 = {
  model_type: "llama",
  hidden_size: 576,
  intermediate_size: 1536,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  tie_word_embeddings: true,
};

/** A decoder of made-up weights with LoRA of rank 8 on all linear maps, loaded and ready. */
export async function syntheticModel(
  gpu: Gpu,
  variants: Variants,
  { layers, rows, length }: { layers: number; rows: number; length: number },
): Promise<TrainableModel> {
  const text = JSON.stringify({ ...SMOLLM2, num_hidden_layers: layers });
  const config = parseModelConfig(text, "made-up decoder");
  const family = MODEL_FAMILIES.get(config.modelType)!;
  const target = { rank: 8, scaling: 2 };
  const targets = new Map(linearPaths(family, layers).map((path) => [path, target]));
  const lora = { targets, nameOf: loraKey };
  const model = new TrainableModel(config, family, lora, { gpu, variants, limits: { rows, length } });
  model.plan(["train"]);
  model.allocate();
  const small = (count: number) => Float32Array.from({ length: count }, (_, i) => 0.02 * Math.sin(1.7 * i));
  const width = (name: string) => name.includes("down_proj") ? config.intermediateSize : config.hiddenSize;
  await model.decoder.load({
    readF32: () => Promise.resolve(new Float32Array(config.hiddenSize).fill(1)),
    readRowsF32: (name, _, count) => Promise.resolve(small(count * width(name))),
  });
  for (const parameter of model.pool.parameters) {
    model.pool.write(parameter, small(parameter.value.bytes / 4));
  }
  return model;
}
