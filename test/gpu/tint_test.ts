import assert from "node:assert/strict";
import { adamwUpdate } from "../../kernels/adamw/kernel.ts";
import { gradNormFinish, gradNormPartial } from "../../kernels/grad_norm/kernel.ts";
import { Arena } from "../../src/gpu/arena.ts";
import { type Kernel, kernelText, type OperandSource } from "../../src/gpu/kernel.ts";
import { type CompiledKernel, PipelineCache } from "../../src/gpu/pipelines.ts";
import { parseModelConfig } from "../../src/models/config.ts";
import { Decoder } from "../../src/models/decoder.ts";
import { linearPaths, MODEL_FAMILIES } from "../../src/models/registry.ts";
import { Magnitude } from "../../src/nn/magnitude.ts";
import { ParameterPool } from "../../src/nn/parameter_pool.ts";
import { StepRecorder } from "../../src/nn/step_recorder.ts";
import { variantFits, VARIANTS, type Variants } from "../../src/nn/variants.ts";
import { tensor } from "../../src/tensor.ts";
import { onEachCompiler, type TestAdapter } from "../helpers/gpu.ts";
import { TINY_CONFIG } from "../helpers/tiny_model.ts";

/** Keeps the texts that recording asks for and compiles nothing. */
class TextCache extends PipelineCache {
  readonly texts = new Map<string, string>();

  override get(
    kernel: Kernel,
    sources: Readonly<Record<string, OperandSource>>,
    constants: Readonly<Record<string, number>>,
  ): CompiledKernel {
    const text = kernelText(kernel, sources, constants);
    this.texts.set(text, kernel.name);
    return { name: kernel.name, text, layout: null!, pipeline: null! };
  }
}

/**
 * Records a step with an update of this rank on all linear maps, or on none, and the optimizer's kernels. `every` adds
 * magnitudes and dropout.
 */
function recordStep(
  { gpu }: TestAdapter,
  variants: Variants,
  rank: number,
  every: boolean,
  cache: TextCache,
): void {
  const family = MODEL_FAMILIES.get("llama")!;
  const config = parseModelConfig(JSON.stringify(TINY_CONFIG), "tiny");
  const targets = new Set(rank > 0 ? linearPaths(family, config.numHiddenLayers) : []);
  const pool = new ParameterPool(gpu);
  const decoder = new Decoder(config, family, {
    gpu,
    variants,
    maxRowLength: 9,
    lowRankOf: (path, rows, cols) => {
      if (!targets.has(path)) return null;
      const a = pool.add(`${path} A`, [rank, cols]), b = pool.add(`${path} B`, [rows, rank]);
      const magnitude = every ? new Magnitude(pool.add(`${path} m`, [rows])) : null;
      return { a, b, rank, scaling: 1, magnitude, dropout: every ? { rate: 0.1, stream: 1 } : null };
    },
  });
  const resources = { gpu, pipelines: cache, arena: new Arena(gpu) };
  const run = new StepRecorder("step", resources, variants);
  const u32 = (label: string, count: number) => tensor(label, [count], "u32");
  const spans = new Map([[Infinity, u32("spans", 36)]]);
  const inputs = { ids: u32("ids", 18), positions: u32("positions", 18), spans, rowLength: 9 };
  const labelled = { index: u32("index", 18), targets: u32("targets", 18) };
  const sinks = { totals: tensor("totals", [4]), flags: u32("flags", 1), scalars: tensor("scalars", [1]) };
  if (every) run.draws = { numbers: u32("draws", 6), rowLength: 9 };
  for (const { weight, lora } of decoder.linears) {
    lora?.magnitude?.recordSquares(run, weight);
    lora?.magnitude?.recordNorms(run, weight, lora);
  }
  const { x, saved } = decoder.forward(run, inputs);
  const dx = run.tensor("dx", x.shape);
  const kept = decoder.head.forward(run, x, labelled, sinks, 0, 18);
  decoder.head.backward(run, kept, labelled, sinks, dx, 0, 18);
  decoder.backward(run, dx, saved, inputs);
  for (const kernel of [gradNormPartial, gradNormFinish, adamwUpdate]) {
    cache.get(kernel as unknown as Kernel, {}, kernel.constants);
  }
}

for (const [name, variants] of Object.entries(VARIANTS)) {
  onEachCompiler(
    `every WGSL text of a training step compiles without a message, ${name} variant`,
    async (adapter) => {
      if (variantFits(adapter.gpu, variants) !== null) return;
      const cache = new TextCache(adapter.gpu);
      for (const rank of [0, 3, 8]) recordStep(adapter, variants, rank, rank === 3, cache);
      recordStep(adapter, variants, 8, true, cache);
      assert.ok([...cache.texts.values()].includes("dora_norms"));
      assert.ok(cache.texts.size > 20);
      const { device } = adapter.gpu;
      for (const [code, label] of cache.texts) {
        device.pushErrorScope("validation");
        const module = device.createShaderModule({ label, code });
        const [invalid, info] = await Promise.all([device.popErrorScope(), module.getCompilationInfo()]);
        const messages = info.messages.map(({ type, lineNum, message }) => `${type} ${lineNum}: ${message}`);
        assert.deepEqual([label, invalid, messages], [label, null, []]);
      }
    },
  );
}
