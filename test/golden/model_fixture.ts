/**
 * What the golden and the replay command share: a model on the GPU with an adapter, and batches of
 * Hugging Face's arrays.
 *
 * @module
 */
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import type { Adapter } from "../../src/checkpoint/adapter.ts";
import { adapterSettings } from "../../src/checkpoint/lora_settings.ts";
import type { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { PipelineCache } from "../../src/gpu/pipelines.ts";
import { type BaseModel, ModelManager } from "../../src/model_manager.ts";
import type { ModelBatch, TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants, type Variants } from "../../src/nn/variants.ts";
import type { Folder } from "../../src/storage.ts";

/** A loaded model, and how to let it go. */
export interface OpenModel {
  readonly model: TrainableModel;
  readonly adapter: Adapter | null;
  close(): Promise<void>;
}

/** How a model computes. */
export interface ModelKernels {
  /** Default: those of the adapter. */
  readonly variants?: Variants | undefined;
  /** What is compiled already, for several models one after the other. */
  readonly pipelines?: PipelineCache;
}

/** Loads a base model, opened or by its folder, with the adapter of another folder, all weights trained, or nothing. */
export async function openModel(
  gpu: Gpu,
  baseOrFolder: BaseModel | Folder,
  trained: Folder | "all" | null,
  limits: { rows: number; length: number },
  { variants = chooseVariants(gpu), pipelines }: ModelKernels = {},
): Promise<OpenModel> {
  const manager = new ModelManager(() => baseOrFolder as Folder);
  const base = "weights" in baseOrFolder ? baseOrFolder : await manager.open(baseOrFolder.uri);
  const adapter = trained === null || trained === "all"
    ? null
    : ModelManager.named(base, await readAdapter(trained));
  const lora = adapter && adapterSettings(adapter);
  const device = { gpu, variants, limits, ...(pipelines ? { pipelines } : {}) };
  const model = manager.plan(base, trained === "all" ? "all" : lora, device);
  model.plan();
  model.allocate();
  await model.decoder.load(base.weights);
  if (adapter) await manager.initialise(model, { kind: "adapter", adapter });
  return {
    model,
    adapter,
    close: async () => {
      model.destroy();
      await base.weights.close();
    },
  };
}

/** An int32 tensor of a file. */
export async function readInts(file: SafetensorsFile, name: string): Promise<Int32Array> {
  return new Int32Array((await file.readRaw(name)).slice().buffer);
}

/** One [rows, length] batch out of arrays [batches, rows, length] of ids, masks and unshifted labels. */
export function batchOf(
  { ids, mask, labels }: { ids: Int32Array; mask: Int32Array; labels: Int32Array },
  index: number,
  rows: number,
  length: number,
): ModelBatch & { trainedTokens: number; mask: Int32Array } {
  const size = rows * length;
  const part = (values: Int32Array) => values.subarray(index * size, (index + 1) * size);
  const [rowIds, rowMask, rowLabels] = [part(ids), part(mask), part(labels)];
  const targets = new Int32Array(size).fill(-100);
  const lengths = new Uint32Array(rows);
  for (let i = 0; i < size; i++) {
    lengths[Math.floor(i / length)]! += rowMask[i]!;
    if ((i + 1) % length !== 0) targets[i] = rowLabels[i + 1]!;
  }
  return {
    rows,
    length,
    inputIds: Uint32Array.from(rowIds),
    targets,
    lengths,
    trainedTokens: targets.filter((target) => target >= 0).length,
    mask: rowMask,
  };
}
