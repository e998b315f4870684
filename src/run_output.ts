/**
 * Saving what a run made. Nothing counts as saved before it was read back: the adapter bit for bit, the merged model by
 * the loss that it gives.
 *
 * @module
 */
import { type Adapter, loraUpdates, readAdapter, writeAdapter } from "./checkpoint/adapter.ts";
import { mergeModel } from "./checkpoint/merge.ts";
import { MODEL_CARD_FILE, modelCard, type ModelCardFacts } from "./checkpoint/model_card.ts";
import type { TrainingConfig } from "./config.ts";
import { ModelManager } from "./model_manager.ts";
import type { PreparedRun } from "./prepared_run.ts";
import { type Folder, writeFile } from "./storage.ts";
import { batchLimits, ModelTrainer } from "./trainer.ts";

/** Rows on which the merged model is compared with base and adapter. */
const CHECKED_ROWS = 8;

/**
 * Difference of losses between adapter and merged model, by the coarsest rounding of the base's weights: a share of the
 * loss, and nats where it is below 1, since what rounding does to the logits does not shrink with the loss.
 */
const LOSS_TOLERANCE = { F32: 1e-4, F16: 1e-2, BF16: 3e-2 } as const;

/** The trained parameters as an adapter. */
export async function trainedAdapter({ model, lora, base }: PreparedRun): Promise<Adapter> {
  const values = await model.pool.read();
  const { rank, alpha, targetModules } = lora;
  return {
    config: { baseModel: base.uri, rank, alpha, dropout: 0, targetModules },
    tensors: new Map(
      model.pool.parameters.map(({ name, value: { shape } }) => [name, { shape, data: values.get(name)! }]),
    ),
  };
}

/** Writes adapter and card. @throws {Error} If the file does not read back bit for bit. */
export async function saveAdapter(
  folder: Folder,
  adapter: Adapter,
  facts: Omit<ModelCardFacts, "kind">,
): Promise<void> {
  await writeAdapter(folder, adapter);
  await writeFile(folder, MODEL_CARD_FILE, modelCard({ ...facts, kind: "adapter" }));
  const saved = await readAdapter(folder);
  for (const [name, { data }] of adapter.tensors) {
    if (!sameBits(data, saved.tensors.get(name)?.data)) {
      throw new Error(
        `The adapter in "${folder.uri}" does not read back as it was trained: tensor "${name}" differs`,
      );
    }
  }
}

/** Writes base plus adapter as a model of its own, with its card. */
export async function saveMerged(
  folder: Folder,
  adapter: Adapter,
  { base }: PreparedRun,
  facts: Omit<ModelCardFacts, "kind">,
): Promise<void> {
  await mergeModel({
    base: base.weights,
    baseFolder: base.folder,
    out: folder,
    updates: loraUpdates(adapter),
  });
  await writeFile(folder, MODEL_CARD_FILE, modelCard({ ...facts, kind: "merged" }));
}

/**
 * Loads the merged model as a base of its own and compares its loss with that of base and adapter. Takes the trained
 * model off the GPU first: two models may not fit.
 *
 * @throws {Error} If the losses differ by more than rounding the weights explains.
 */
export async function checkMerged(
  folder: Folder,
  { data, gpu, variants, model, base }: PreparedRun,
  training: TrainingConfig,
  signal: AbortSignal,
): Promise<void> {
  const rows = (data.eval.length > 0 ? data.eval : data.train).slice(0, CHECKED_ROWS);
  const want = await new ModelTrainer(model, data, training).evaluate(rows, signal);
  model.destroy();
  const manager = new ModelManager(() => folder);
  const merged = await manager.open(folder.uri);
  const limits = batchLimits({ ...data, train: rows, eval: [] }, training);
  const { pipelines } = model.resources;
  const alone = manager.plan(merged, null, { gpu, pipelines, variants, limits });
  try {
    alone.plan(["evaluate"]);
    alone.allocate();
    await alone.decoder.load(merged.weights);
    const got = await new ModelTrainer(alone, data, training).evaluate(rows, signal);
    const dtypes = new Set([...base.weights.infos.values()].map(({ dtype }) => dtype));
    const coarsest = dtypes.has("BF16") ? "BF16" : dtypes.has("F16") ? "F16" : "F32";
    if (!(Math.abs(got.loss - want.loss) <= LOSS_TOLERANCE[coarsest] * Math.max(1, want.loss))) {
      throw new Error(
        `The merged model in "${folder.uri}" does not compute what base and adapter compute: ` +
          `loss ${got.loss} against ${want.loss} on ${rows.length} rows. The adapter is saved; do not use the merged model`,
      );
    }
  } finally {
    alone.destroy();
    await merged.weights.close();
  }
}

function sameBits(a: Float32Array, b: Float32Array | undefined): boolean {
  if (b?.length !== a.length) return false;
  const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);
  const [left, right] = [bits(a), bits(b)];
  return left.every((value, i) => value === right[i]);
}
