import assert from "node:assert/strict";
import { WeightFiles } from "../../src/checkpoint/weight_files.ts";
import { type ModelConfig, readModelConfig } from "../../src/models/config.ts";
import type { LoraTarget, LoraTensor } from "../../src/models/lora_spec.ts";
import { type BatchLimits, type ModelBatch, TrainableModel } from "../../src/models/trainable_model.ts";
import { linearPaths, MODEL_FAMILIES, weightShapes } from "../../src/models/registry.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { arithmetic, assertClose, exact, tensor } from "../helpers/close.ts";
import { decoderReference } from "../helpers/decoder_reference.ts";
import { ramp } from "../helpers/fill.ts";
import { onEveryAdapter, type TestAdapter } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

const RANK = 3, SCALING = 2, LENGTH = 7;
const FAMILY = MODEL_FAMILIES.get("llama")!;

interface Row {
  readonly ids: readonly number[];
  /** Positions from which on the next token is trained. */
  readonly from: number;
}
const LONG: Row = { ids: [257, 5, 17, 99, 260, 4, 258], from: 2 };
const SHORT: Row = { ids: [257, 200, 31, 258], from: 0 };
const FILLER: Row = { ids: [], from: 0 };

/** Rows padded to a length; a row without ids is a filler row. */
function batchOf(rows: readonly Row[], length = LENGTH): ModelBatch {
  const inputIds = new Uint32Array(rows.length * length),
    targets = new Int32Array(inputIds.length).fill(-100);
  rows.forEach(({ ids, from }, row) =>
    ids.forEach((id, t) => {
      inputIds[row * length + t] = id;
      if (t >= from && t + 1 < ids.length) targets[row * length + t] = ids[t + 1]!;
    })
  );
  return {
    rows: rows.length,
    length,
    inputIds,
    targets,
    lengths: Uint32Array.from(rows, ({ ids }) => ids.length),
  };
}

const labels = ({ targets }: ModelBatch) => targets.filter((target) => target >= 0).length;

async function openTiny(tied: boolean) {
  const folder = new MemoryFolder("tiny");
  await writeTinyModel(folder, { tied });
  const config = await readModelConfig(folder), weights = await WeightFiles.open(folder);
  return { config, weights };
}

/** Every map, all of one rank. */
function targetsOf({ numHiddenLayers }: ModelConfig): Map<string, LoraTarget> {
  const target = { rank: RANK, scaling: SCALING };
  return new Map(linearPaths(FAMILY, numHiddenLayers).map((path) => [path, target]));
}

/** The tiny model with both factors filled, so that every gradient is worth checking. */
async function loadModel(
  { gpu, pipelines }: TestAdapter,
  { tied = true, limits = { rows: 3, length: 9 } }: { tied?: boolean; limits?: BatchLimits } = {},
) {
  const { config, weights } = await openTiny(tied);
  const lora = {
    targets: targetsOf(config),
    nameOf: (path: string, which: LoraTensor) => `${path} ${which}`,
  };
  const model = new TrainableModel(config, FAMILY, lora, {
    gpu,
    pipelines,
    variants: chooseVariants(gpu),
    limits,
  });
  model.allocate();
  await model.decoder.load(weights);
  const factors = new Map<string, Float32Array<ArrayBuffer>>();
  model.pool.parameters.forEach((parameter, i) => {
    const values = ramp(parameter.value.bytes / 4, { phase: i, scale: 0.1 });
    model.pool.write(parameter, values);
    factors.set(parameter.name, values);
  });
  const base = new Map<string, Float32Array>();
  for (const name of weightShapes(FAMILY, config).keys()) base.set(name, await weights.readF32(name));
  return { model, config, weights: { base, factors, targets: lora.targets } };
}

/** Loss and gradients of an optimizer step over some micro-batches. */
async function stepOf(model: TrainableModel, batches: readonly ModelBatch[]) {
  const count = batches.reduce((sum, batch) => sum + labels(batch), 0);
  model.clearGradients();
  model.clearTotals();
  for (const batch of batches) await model.accumulate(batch, 1 / count);
  const totals = await model.totals();
  return { loss: totals.summedLoss / count, finite: totals.finite, grads: await model.pool.read("grads") };
}

Deno.test("the reference decoder's gradients agree with central differences of its loss", async () => {
  const { config, weights: files } = await openTiny(true);
  const base = new Map<string, Float32Array>();
  for (const name of weightShapes(FAMILY, config).keys()) base.set(name, await files.readF32(name));
  const factors = new Map<string, Float32Array>();
  const path = `${FAMILY.layer(0)}.self_attn.k_proj`;
  factors.set(`${path} A`, ramp(RANK * 32, { scale: 0.1 }));
  const b = wide(ramp(24 * RANK, { scale: 0.1, phase: 1 }));
  const batch = batchOf([LONG, SHORT]);
  const evaluate = (b: Float64Array) => {
    const all = new Map<string, ArrayLike<number>>([...factors, [`${path} B`, b]]);
    const weights = { base, factors: all as Map<string, Float32Array>, targets: targetsOf(config) };
    return decoderReference(config, weights, batch, 1);
  };
  assertGradient((b) => evaluate(b).loss, b, evaluate(b).grads.get(`${path} B`)!);
  assert.ok(dot(evaluate(b).grads.get(`${path} A`)!, ramp(RANK * 32)) !== 0);
});

for (const tied of [true, false]) {
  onEveryAdapter(
    `loss and every LoRA gradient match the f64 decoder, ${tied ? "tied" : "untied"} head`,
    async (adapter) => {
      const { model, config, weights } = await loadModel(adapter, { tied });
      const batch = batchOf([LONG, SHORT]);
      const got = await stepOf(model, [batch]);
      const want = decoderReference(config, weights, batch, 1 / labels(batch));
      assertClose([got.loss], [want.loss / labels(batch)], arithmetic("f32", "f32", config.vocabSize));
      assert.equal(got.grads.size, 28);
      for (const [name, values] of got.grads) assertClose(values, want.grads.get(name)!, tensor("f32"));
      model.destroy();
    },
  );
}

onEveryAdapter(
  "blocks computed again in backward give the same loss and gradients, bit for bit",
  async (adapter) => {
    const steps = await Promise.all([0, 1, 2].map(async (recompute) => {
      const { model } = await loadModel(adapter, { limits: { rows: 3, length: 9, recompute } });
      const step = await stepOf(model, [batchOf([LONG, SHORT])]);
      model.destroy();
      return step;
    }));
    for (const step of steps.slice(1)) {
      assert.equal(step.loss, steps[0]!.loss);
      assert.deepEqual(step.grads, steps[0]!.grads);
    }
  },
);

onEveryAdapter(
  "each block computed again needs less memory, by about the same amount",
  async ({ gpu, pipelines }) => {
    const { config } = await openTiny(true);
    const deep = {
      ...config,
      numHiddenLayers: 8,
      layers: Array.from({ length: 8 }, () => config.layers[0]!),
    };
    const bytes = [0, 2, 4, 6].map((recompute) => {
      const limits = { rows: 4, length: 64, recompute };
      const model = new TrainableModel(deep, FAMILY, null, {
        gpu,
        pipelines,
        variants: chooseVariants(gpu),
        limits,
      });
      model.plan(["train"]);
      const { buffers, textures } = model.resources.arena.bytes;
      return buffers + textures;
    });
    const saved = bytes.slice(1).map((now, i) => bytes[i]! - now);
    assert.ok(saved.every((less) => less > 0 && Math.abs(less - saved[1]!) < 0.15 * saved[1]!), `${bytes}`);
  },
  ["deno"],
);

onEveryAdapter(
  "micro-batches accumulate to the step of one batch; padding and filler rows change nothing",
  async (adapter) => {
    const { model } = await loadModel(adapter);
    const whole = await stepOf(model, [batchOf([LONG, SHORT])]);
    for (
      const batches of [
        [batchOf([LONG]), batchOf([SHORT])],
        [batchOf([LONG, SHORT], 9)],
        [batchOf([LONG, FILLER, SHORT])],
        [batchOf([LONG, SHORT]), batchOf([FILLER])],
      ]
    ) {
      const { loss, finite, grads } = await stepOf(model, batches);
      assert.equal(finite, true);
      assertClose([loss], [whole.loss], arithmetic("f32", "f32", 16));
      for (const [name, values] of grads) assertClose(values, whole.grads.get(name)!, tensor("f32"));
    }
    model.destroy();
  },
);

onEveryAdapter("the same step gives the same bytes twice", async (adapter) => {
  const { model } = await loadModel(adapter);
  const [first, second] = [
    await stepOf(model, [batchOf([LONG, SHORT])]),
    await stepOf(model, [batchOf([LONG, SHORT])]),
  ];
  assertClose([second.loss], [first.loss], exact());
  for (const [name, values] of first.grads) assertClose(second.grads.get(name)!, values, exact());
  model.destroy();
});

onEveryAdapter(
  "a value that is not finite in any gradient stops the optimizer before it touches anything",
  async (adapter) => {
    const { model } = await loadModel(adapter);
    const { gpu } = adapter;
    const config = { weightDecay: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 1 };
    const optimizer = await AdamW.create(model.resources, model.pool, model.sinks, config);
    await stepOf(model, [batchOf([LONG, SHORT])]);
    optimizer.step(1, 1e-2);
    const state = async () => {
      const chunk = model.pool.chunks[0]!;
      const parts = [chunk.values, chunk.m!, chunk.v!];
      return await Promise.all(
        parts.map(async ({ buffer, bytes }) => new Float32Array(await gpu.read(buffer!, 0, bytes))),
      );
    };
    const before = await state();
    assert.ok(before[1]!.some((value) => value !== 0), "the first step moved the moments");
    const moved = await model.pool.read("values");
    assert.notDeepEqual(moved.get(model.pool.parameters[0]!.name), ramp(RANK * 32, { scale: 0.1 }));
    for (const { path: linear } of FAMILY.linears) {
      for (const bad of [NaN, Infinity, -Infinity]) {
        await stepOf(model, [batchOf([LONG, SHORT])]);
        assert.equal((await model.totals()).finite, true);
        const { grad } = model.pool.parameters.find(({ name }) => name === `${FAMILY.layer(1)}.${linear} B`)!;
        gpu.device.queue.writeBuffer(grad.buffer!, grad.offset + grad.bytes - 4, Float32Array.of(bad));
        optimizer.step(2, 1e-2);
        assert.equal((await model.totals()).finite, false, `${bad} in ${linear}`);
        (await state()).forEach((values, i) => assertClose(values, before[i]!, exact()));
        gpu.device.queue.writeBuffer(model.sinks.flags.buffer!, 0, new Uint32Array(1));
      }
    }
    model.destroy();
  },
);

onEveryAdapter("a logit that is not finite is seen, and stops the optimizer", async (adapter) => {
  const { model } = await loadModel(adapter);
  const config = { weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 0 };
  const optimizer = await AdamW.create(model.resources, model.pool, model.sinks, config);
  const last = model.pool.parameters.find(({ name }) => name === `${FAMILY.layer(1)}.mlp.down_proj B`)!;
  for (const bad of [NaN, Infinity, -Infinity]) {
    const values = ramp(last.value.bytes / 4);
    values[5] = bad;
    model.pool.write(last, values);
    const before = (await model.pool.read()).get(`${FAMILY.layer(0)}.mlp.up_proj A`)!;
    const { finite } = await stepOf(model, [batchOf([LONG])]);
    assert.equal(finite, false, `${bad}`);
    optimizer.step(1, 1e-2);
    assertClose((await model.pool.read()).get(`${FAMILY.layer(0)}.mlp.up_proj A`)!, before, exact());
    adapter.gpu.device.queue.writeBuffer(model.sinks.flags.buffer!, 0, new Uint32Array(1));
  }
  model.destroy();
});

onEveryAdapter("a batch beyond what was planned is refused with both sizes", async (adapter) => {
  const { model } = await loadModel(adapter);
  await assert.rejects(
    model.accumulate(batchOf([LONG, SHORT, LONG, LONG]), 1),
    /a batch of 4 rows of 7 tokens: planned for at most 3 of 9/,
  );
  model.destroy();
});

onEveryAdapter("documents packed into one row give the step of a row each", async (adapter) => {
  const { model } = await loadModel(adapter, { limits: { rows: 2, length: 11 } });
  const apart = await stepOf(model, [batchOf([LONG, SHORT])]);
  const row = batchOf([{ ids: [...LONG.ids, ...SHORT.ids], from: 0 }], 11);
  for (const t of [0, 1, LONG.ids.length - 1]) row.targets[t] = -100; // not trained alone, or the next document's
  const packed = { ...row, documents: [[LONG.ids.length, SHORT.ids.length]] };
  const together = await stepOf(model, [packed]);
  assertClose([together.loss], [apart.loss], arithmetic("f32", "f32", 11));
  for (const [name, grad] of apart.grads) assertClose(together.grads.get(name)!, grad, tensor("f32"));
  const { loss } = await stepOf(model, [row]);
  assert.ok(Math.abs(loss - apart.loss) > 1e-4, "without documents the second would see the first");
  model.destroy();
});

onEveryAdapter("a token id that the embedding lacks is refused with its place", async (adapter) => {
  const { model } = await loadModel(adapter);
  const unknown = { ids: [257, 5, 261, 17], from: 0 };
  await assert.rejects(
    model.accumulate(batchOf([SHORT, unknown]), 1),
    /token id 261 at position 9 of the batch: the model knows ids 0\.\.260/,
  );
  model.destroy();
}, ["deno"]);
