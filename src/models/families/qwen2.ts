import type { FamilyFacts, FamilySizes, ModelFamily } from "../family.ts";
import type { Fields } from "../config_fields.ts";
import { type BiasSetting, optionalWindow, plainFacts, withDefaults } from "../family_facts.ts";
import { llama } from "./llama.ts";

/** A Llama with biases on queries, keys and values, which config.json does not mention. */
export const qwen2: ModelFamily = {
  ...llama,
  modelType: "qwen2",
  knownAs: "Qwen 1.5, 2 and 2.5",
  tried: "tiny models against transformers and PEFT",
  fields: withDefaults({ max_position_embeddings: 32_768, sliding_window: 4096 }),
  read: (fields, sizes) => ({ ...readQwen(fields, sizes), biased: ["q", "k", "v"] }),
};

/** Where `use_sliding_window` is true, layers from `max_window_layers` on slide. */
export function readQwen(
  fields: Fields,
  sizes: FamilySizes,
  biasSettings: readonly BiasSetting[] = [],
): FamilyFacts {
  return plainFacts(fields, sizes, {
    window: optionalWindow(fields),
    slides: (layer) => layer >= fields.count("max_window_layers", 28),
    biasSettings,
  });
}
