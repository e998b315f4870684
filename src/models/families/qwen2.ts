import type { FamilyFacts, FamilySizes, ModelFamily } from "../family.ts";
import type { Fields } from "../config_fields.ts";
import { optionalWindow, plainFacts, readLayers, withDefaults } from "../family_facts.ts";
import { readRope } from "../rope_config.ts";
import { llama } from "./llama.ts";

/** A Llama with biases on queries, keys and values, which config.json does not mention. */
export const qwen2: ModelFamily = {
  ...llama,
  modelType: "qwen2",
  knownAs: "Qwen 1.5, 2 and 2.5",
  tried: "tiny models against transformers and PEFT",
  linears: llama.linears.map((map) => ({ ...map, bias: /[qkv]_proj$/.test(map.path) })),
  fields: withDefaults({ max_position_embeddings: 32_768, sliding_window: 4096 }),
  read: readQwen,
};

/** Where `use_sliding_window` is true, layers from `max_window_layers` on slide. */
export function readQwen(fields: Fields, sizes: FamilySizes): FamilyFacts {
  return {
    ...plainFacts(fields, sizes),
    layers: readLayers(fields, sizes.numHiddenLayers, {
      window: optionalWindow(fields),
      slides: (layer) => layer >= fields.count("max_window_layers", 28),
      rope: readRope(fields, sizes),
    }),
  };
}
