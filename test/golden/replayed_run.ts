/**
 * Training steps of a recorded run, done again.
 *
 * @module
 */
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { BaseModel } from "../../src/model_manager.ts";
import type { TrainableModel } from "../../src/models/trainable_model.ts";
import type { Variants } from "../../src/nn/variants.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { type Folder, readText } from "../../src/storage.ts";
import { batchOf, type OpenModel, openModel, readInts } from "./model_fixture.ts";

const RECIPE = { weightDecay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 0 };
const LEARNING_RATE = 2e-4;
const LOSSES_FILE = "losses-f32-20.json";

/** What was recorded: batches in order, the first adapter, PEFT's losses. */
export interface Recording {
  readonly folder: Folder;
  readonly batches: number;
  readonly rows: number;
  readonly length: number;
  readonly arrays: { readonly ids: Int32Array; readonly mask: Int32Array; readonly labels: Int32Array };
  readonly losses: readonly number[];
}

/** Reads a recorded run. */
export async function openRecording(folder: Folder): Promise<Recording> {
  const file = await SafetensorsFile.open(folder, "batches.safetensors");
  const [batches, rows, length] = file.infos.get("input_ids")!.shape as [number, number, number];
  const arrays = {
    ids: await readInts(file, "input_ids"),
    mask: await readInts(file, "attention_mask"),
    labels: await readInts(file, "labels"),
  };
  await file.close();
  const { loss } = JSON.parse(await readText(folder, LOSSES_FILE));
  return { folder, batches, rows, length, arrays, losses: loss };
}

/** Which steps are done, on what. */
export interface ReplayRequest {
  readonly gpu: Gpu;
  /** Opens the base model; it is closed after the steps. */
  readonly openBase: () => Promise<BaseModel>;
  readonly recording: Recording;
  readonly steps: number;
  readonly profiles: boolean;
  /** Takes a line about each step. */
  readonly tell: (line: string) => void;
}

/** What the steps gave. */
export interface Replayed {
  readonly losses: readonly number[];
  readonly gradNorms: readonly number[];
  /** Wall time of each step. */
  readonly seconds: readonly number[];
}

/** Trains from the recorded run's first adapter. @param adapterOut Where the last adapter is written, if anywhere. */
export async function replay(
  { gpu, openBase, recording, steps, profiles, tell, variants, adapterOut }: ReplayRequest & {
    readonly variants: Variants;
    readonly adapterOut?: Folder;
  },
): Promise<Replayed> {
  const { folder, rows, length, arrays } = recording;
  const started = performance.now();
  const base = await openBase();
  const opened = await openModel(gpu, base, folder.folder("init-adapter"), { rows, length }, { variants });
  const { model } = opened;
  await model.prepare("train", rows, length);
  const optimizer = await AdamW.create(model.resources, model.pool, model.sinks, RECIPE);
  tell(`${gpu.name}: ${variants.reason}; ready after ${secondsSince(started).toFixed(2)} s`);
  const losses: number[] = [], gradNorms: number[] = [], seconds: number[] = [];
  for (let step = 0; step < steps; step++) {
    const stepStarted = performance.now();
    const batch = batchOf(arrays, step, rows, length);
    model.clearGradients();
    model.clearTotals();
    await model.accumulate(batch, 1 / batch.trainedTokens);
    optimizer.step(step + 1, LEARNING_RATE);
    const { summedLoss, gradNorm, finite } = await model.totals();
    if (!finite) throw new Error(`Step ${step} is not finite`);
    losses.push(summedLoss / batch.trainedTokens);
    gradNorms.push(gradNorm);
    seconds.push(secondsSince(stepStarted));
    tell(
      `step ${step + 1}/${steps}  loss ${losses.at(-1)!.toFixed(6)}  grad norm ${gradNorm.toFixed(4)}  ` +
        `${seconds.at(-1)!.toFixed(2)} s`,
    );
  }
  if (profiles) await tellProfile(model, recording, tell);
  if (adapterOut) await writeTrained(opened, adapterOut);
  await opened.close();
  return { losses, gradNorms, seconds };
}

const secondsSince = (started: number) => (performance.now() - started) / 1000;

async function tellProfile(
  model: TrainableModel,
  { arrays, rows, length }: Recording,
  tell: (line: string) => void,
) {
  for (const { name, dispatches, ms } of (await model.profile(batchOf(arrays, 0, rows, length))).byKernel()) {
    tell(`${ms.toFixed(1).padStart(9)} ms  ${String(dispatches).padStart(5)}  ${name}`);
  }
}

async function writeTrained({ model, adapter }: OpenModel, out: Folder): Promise<void> {
  const trained = await model.pool.read();
  const tensors = new Map(
    [...trained].map(([name, data]) => [name, { shape: adapter!.tensors.get(name)!.shape, data }]),
  );
  await writeAdapter(out, { config: adapter!.config, tensors });
}
