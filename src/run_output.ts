/**
 * Saving what a run made. Nothing counts as saved before it was read back: the adapter bit for bit, the merged model by
 * the loss that it gives.
 *
 * @module
 */
import { type Adapter, loraUpdates, readAdapter, writeAdapter } from "./checkpoint/adapter.ts";
import { adapterTargets } from "./checkpoint/adapter_targets.ts";
import { savedSettings } from "./checkpoint/lora_settings.ts";
import { mergedValues, mergeModel } from "./checkpoint/merge.ts";
import { MODEL_CARD_FILE, modelCard, type ModelCardFacts } from "./checkpoint/model_card.ts";
import { plainForm } from "./checkpoint/plain_form.ts";
import { QuantizedWeights } from "./checkpoint/quantized_weights.ts";
import type { ModelWeights } from "./checkpoint/weight_files.ts";
import type { TrainingConfig } from "./config.ts";
import type { MergeBase, TrainingEvent } from "./job.ts";
import { type BaseModel, mergeParts, ModelManager, withWholeTensors } from "./model_manager.ts";
import type { WeightSource } from "./models/decoder_weights.ts";
import { linearPaths } from "./models/registry.ts";
import type { PreparedRun, RunInputs } from "./prepared_run.ts";
import { redacted } from "./redact.ts";
import { type Folder, writeFile } from "./storage.ts";
import { batchLimits, ModelTrainer } from "./trainer.ts";

/** Rows on which the merged model is compared with base and adapter. */
const CHECKED_ROWS = 8;

/**
 * Difference of losses between adapter and merged model, by the coarsest rounding of the base's weights: a share of the
 * loss, and nats where it is below 1, since what rounding does to the logits does not shrink with the loss.
 */
const LOSS_TOLERANCE = { F32: 1e-4, F16: 1e-2, BF16: 3e-2 } as const;

/** What merging changes. */
export type ComparedEvent = Extract<TrainingEvent, { type: "compared" }>;

/** The trained parameters as an adapter of the base as it was. */
export async function trainedAdapter({ model, lora, base, residual }: PreparedRun): Promise<Adapter> {
  const values = await model.pool.read();
  const { family, config } = base;
  const names = family.linears.map(({ path }) => path.slice(path.lastIndexOf(".") + 1));
  const paths = linearPaths(family, config.numHiddenLayers);
  const rules = adapterTargets(lora, paths, family.within ?? null);
  const adapter = {
    config: {
      baseModel: redacted(base.uri),
      dropout: lora.dropout ?? 0,
      ...savedSettings(lora, rules, names),
    },
    tensors: new Map(
      model.pool.parameters.map(({ name, value: { shape } }) => [name, { shape, data: values.get(name)! }]),
    ),
  };
  return residual ? plainForm(adapter, residual.initial) : adapter;
}

/** Writes adapter and card. @throws {Error} If the file does not read back bit for bit. */
export async function saveAdapter(
  folder: Folder,
  adapter: Adapter,
  facts: Omit<ModelCardFacts, "kind">,
): Promise<void> {
  await writeAdapter(folder, adapter);
  await writeFile(folder, MODEL_CARD_FILE, await modelCard({ ...facts, kind: "adapter" }));
  const saved = await readAdapter(folder);
  for (const [name, { data }] of adapter.tensors) {
    if (!sameBits(data, saved.tensors.get(name)?.data)) {
      throw new Error(
        `The adapter in "${folder.uri}" does not read back as it was trained: tensor "${name}" differs`,
      );
    }
  }
}

/** Writes the card of a merged model. */
export async function saveMergedCard(folder: Folder, facts: Omit<ModelCardFacts, "kind">): Promise<void> {
  await writeFile(folder, MODEL_CARD_FILE, await modelCard({ ...facts, kind: "merged" }));
}

/** Writes base plus adapter as a model of its own, but for its card. */
export async function saveMerged(
  folder: Folder,
  adapter: Adapter,
  { base }: Pick<RunInputs, "base">,
  mergeBase: MergeBase,
): Promise<void> {
  const weights = mergeBase === "original" ? originalOf(base.weights) : base.weights;
  await mergeModel({ ...mergeParts({ ...base, weights }, adapter), out: folder });
}

/** What quantising started from; the weights themselves where none was asked for. */
function originalOf(weights: ModelWeights): ModelWeights {
  return weights instanceof QuantizedWeights ? weights.original : weights;
}

/** A merged model to look at, and how. */
export interface MergedCheck {
  readonly folder: Folder;
  readonly adapter: Adapter;
  readonly mergeBase: MergeBase;
  readonly training: TrainingConfig;
  readonly signal: AbortSignal;
}

/**
 * Loads the merged model as a base of its own and compares its loss with that of base and adapter. Takes the trained
 * model off the GPU first: two models may not fit. Where the base was quantised while it was loaded, the loss of the
 * other merged model is told too; that of one on the original weights may be another, which is no error.
 *
 * @returns The losses side by side; null where no base was quantised.
 * @throws {Error} If the losses differ by more than rounding the weights explains.
 */
export async function checkMerged(
  run: PreparedRun,
  { folder, adapter, mergeBase, training, signal }: MergedCheck,
): Promise<ComparedEvent | null> {
  const { data, gpu, variants, model, base } = run;
  const source = data.eval.length > 0 ? data.eval : data.train;
  const rows = Array.from({ length: Math.min(CHECKED_ROWS, source.length) }, (_, i) => source.at(i)!);
  const want = await new ModelTrainer(model, data, training).evaluate(rows, signal);
  model.destroy();
  const manager = new ModelManager(
    () => folder,
    undefined,
    new Map([[base.config.modelType, base.family]]),
  );
  const merged = await manager.open(folder.uri);
  const limits = batchLimits({ ...data, train: rows, eval: [], packs: null, evalPacks: null }, training);
  const { pipelines } = model.resources;
  const lossOf = async (weights: WeightSource) => {
    const alone = manager.plan({ ...merged, weights }, null, { gpu, pipelines, variants, limits });
    try {
      alone.plan(["evaluate"]);
      alone.allocate();
      await alone.decoder.load(weights);
      return (await new ModelTrainer(alone, data, training).evaluate(rows, signal)).loss;
    } finally {
      alone.destroy();
    }
  };
  try {
    const got = await lossOf(merged.weights);
    const original = originalOf(base.weights), isQuantized = original !== base.weights;
    if (!isQuantized || mergeBase === "quantized") checkLoss(got, want.loss, base, folder);
    if (!isQuantized) return null;
    const others = mergeBase === "quantized" ? original : base.weights;
    const { weights } = withWholeTensors({ ...base, weights: others }, adapter);
    const other = await lossOf(mergedValues(weights, loraUpdates(adapter)));
    const losses = mergeBase === "quantized"
      ? { adapter: want.loss, quantized: got, original: other }
      : { adapter: want.loss, quantized: other, original: got };
    return { type: "compared", mergeBase, rows: rows.length, tokens: want.tokens, losses };
  } finally {
    await merged.weights.close();
  }
}

/** @throws {Error} If the losses differ by more than rounding to the base's dtypes explains. */
function checkLoss(
  got: number,
  want: number,
  { weights }: BaseModel,
  folder: Folder,
): void {
  const dtypes = new Set([...weights.infos.values()].map(({ dtype }) => dtype));
  const coarsest = dtypes.has("BF16") ? "BF16" : dtypes.has("F16") ? "F16" : "F32";
  if (Math.abs(got - want) <= LOSS_TOLERANCE[coarsest] * Math.max(1, want)) return;
  throw new Error(
    `The merged model in "${folder.uri}" does not compute what base and adapter compute: ` +
      `loss ${got} against ${want} on the same rows. The adapter is saved; do not use the merged model`,
  );
}

function sameBits(a: Float32Array, b: Float32Array | undefined): boolean {
  if (b?.length !== a.length) return false;
  const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);
  const [left, right] = [bits(a), bits(b)];
  return left.every((value, i) => value === right[i]);
}
