/**
 * One training step of a golden case, on whatever WebGPU runs it: the same code in Deno and, bundled, in a browser.
 *
 * @module
 */
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { PipelineCache } from "../../src/gpu/pipelines.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import type { Folder } from "../../src/storage.ts";
import { batchOf, openModel, readInts } from "../golden/model_fixture.ts";

/** Values by the names of the adapter's tensors, as a worker can post them and playwright can pass them on. */
export type Tensors = Readonly<Record<string, number[]>>;

/** What a step computes, and what it leaves. */
export interface FamilyStep {
  /** [rows · length, vocabulary], those of padding set to 0: they mean nothing. */
  readonly logits: number[];
  /** Mean over the labelled tokens of the batch, before the step. */
  readonly loss: number;
  readonly gradNorm: number;
  readonly gradients: Tensors;
  /** The adapter after the step. */
  readonly adapter: Tensors;
  /** The loss of the same batch, after the step. */
  readonly lossAfter: number;
}

const LEARNING_RATE = 1e-3;

/** Runs the first batch of a case once forward and backward from its adapter, and one update of AdamW. */
export async function familyStep(gpu: Gpu, pipelines: PipelineCache, golden: Folder): Promise<FamilyStep> {
  const file = await SafetensorsFile.open(golden, "golden.safetensors");
  const [, rows, length] = file.infos.get("input_ids")!.shape as [number, number, number];
  const arrays = {
    ids: await readInts(file, "input_ids"),
    mask: await readInts(file, "attention_mask"),
    labels: await readInts(file, "labels"),
  };
  await file.close();
  const batch = batchOf(arrays, 0, rows, length);
  const base = golden.folder("base"), adapter = golden.folder("adapter");
  const { model, close } = await openModel(gpu, base, adapter, { rows, length }, { pipelines });
  try {
    const adamw = await AdamW.create(model.resources, model.pool, model.sinks, {
      weightDecay: 0.01,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      maxGradNorm: 1,
    });
    const logits = await model.logits(batch), vocabulary = logits.length / batch.mask.length;
    batch.mask.forEach((real, i) => !real && logits.fill(0, i * vocabulary, (i + 1) * vocabulary));
    model.clearGradients();
    model.clearTotals();
    await model.accumulate(batch, 1 / batch.trainedTokens);
    adamw.step(1, LEARNING_RATE);
    const { summedLoss, gradNorm } = await model.totals();
    const gradients = plain(await model.pool.read("grads"));
    model.clearTotals();
    await model.evaluate(batch);
    const after = await model.totals();
    return {
      logits: [...logits],
      loss: summedLoss / batch.trainedTokens,
      gradNorm,
      gradients,
      adapter: plain(await model.pool.read()),
      lossAfter: after.summedLoss / batch.trainedTokens,
    };
  } finally {
    await close();
  }
}

const plain = (tensors: ReadonlyMap<string, Float32Array>): Tensors =>
  Object.fromEntries([...tensors].map(([name, values]) => [name, [...values]]));
