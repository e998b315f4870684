/**
 * A base model with what an adapter holds whole, for merging and exporting.
 *
 * @module
 */
import { type Adapter, loraUpdates, wholeTensors } from "../checkpoint/adapter.ts";
import type { MergeOptions } from "../checkpoint/merge.ts";
import { ReplacedWeights, type Replacement } from "../checkpoint/replaced_weights.ts";
import type { BaseModel } from "../model_manager.ts";

/**
 * The model with the tensors that an adapter holds whole in place of its own, its head apart from the embedding where
 * they no longer are the same.
 */
export function withWholeTensors(base: BaseModel, adapter: Adapter): BaseModel {
  const { config, family } = base, whole = wholeTensors(adapter);
  if (whole.size === 0) return base;
  const [head, embedding] = [`${family.head}.weight`, `${family.embedding}.weight`];
  const replaced = new Map<string, Replacement>();
  for (const [name, { data }] of whole) {
    replaced.set(name, { like: base.weights.infos.has(name) ? name : embedding, values: data });
  }
  const isUntied = config.tieWordEmbeddings && (whole.has(head) || whole.has(embedding));
  const copied = isUntied && !whole.has(head) ? [head, embedding] as const : null;
  return {
    ...base,
    config: { ...config, tieWordEmbeddings: config.tieWordEmbeddings && !isUntied },
    weights: new ReplacedWeights(base.weights, replaced, copied),
  };
}

/** What merging an adapter into the model takes. */
export function mergeParts(
  base: BaseModel,
  adapter: Adapter,
): Pick<MergeOptions, "base" | "baseFolder" | "updates" | "untied"> {
  const { weights, config } = withWholeTensors(base, adapter);
  const untied = config.tieWordEmbeddings !== base.config.tieWordEmbeddings;
  return { base: weights, baseFolder: base.folder, updates: loraUpdates(adapter), untied };
}
