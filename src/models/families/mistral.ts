import type { ModelFamily } from "../family.ts";
import { plainFacts, withDefaults } from "../family_facts.ts";
import { llama } from "./llama.ts";

/** A Llama whose every layer sees the last `sliding_window` keys; later versions set it to null. */
export const mistral: ModelFamily = {
  ...llama,
  modelType: "mistral",
  knownAs: "Mistral 7B, Mistral Nemo",
  tried: "tiny models against transformers and PEFT",
  fields: withDefaults({ sliding_window: 4096, num_key_value_heads: 8, max_position_embeddings: 131_072 }),
  read: (fields, sizes) => plainFacts(fields, sizes, { window: fields.optionalCount("sliding_window") }),
};
