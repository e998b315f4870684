import type { FamilySizes, ModelFamily } from "../family.ts";
import { Fields } from "../config_fields.ts";
import { readLayers, withDefaults } from "../family_facts.ts";
import { plainRope, readRope } from "../rope_config.ts";
import { gemma2, GEMMA_DEFAULTS, readGemma } from "./gemma2.ts";

const DEFAULTS = {
  ...GEMMA_DEFAULTS,
  vocab_size: 262_208,
  max_position_embeddings: 131_072,
  attn_logit_softcapping: null,
  final_logit_softcapping: null,
};

/**
 * A Gemma 2 without caps, with normed queries and keys; five layers of six slide, and those turn by a theta of their
 * own. A stretched context stretches the others only.
 */
export const gemma3Text: ModelFamily = {
  ...gemma2,
  modelType: "gemma3_text",
  knownAs: "Gemma 3 270M and 1B",
  tried: "tiny models against transformers and PEFT",
  norms: { ...gemma2.norms, query: "self_attn.q_norm", key: "self_attn.k_norm" },
  fields: withDefaults(DEFAULTS),
  read: (fields, sizes) => ({
    ...readGemma(fields, sizes),
    layers: readLayers(fields, sizes.numHiddenLayers, {
      window: fields.optionalCount("sliding_window"),
      slides: (layer) => (layer + 1) % readPattern(fields) !== 0,
      ...readRopes(fields, sizes),
    }),
  }),
};

/** Layers of which the last sees all: a number in files of transformers 4, where 5 writes `layer_types`. */
function readPattern(fields: Fields): number {
  return fields.count("sliding_window_pattern", fields.count("_sliding_window_pattern", 6));
}

function readRopes(fields: Fields, sizes: FamilySizes) {
  const theta = fields.positive("rope_theta", 1_000_000);
  return {
    rope: readRope(fields, sizes, { layerType: "full_attention", theta }),
    slidingRope: fields.get("rope_parameters") === undefined
      ? plainRope(fields.positive("rope_local_base_freq", 10_000), sizes)
      : readRope(fields, sizes, { layerType: "sliding_attention", theta: 10_000 }),
  };
}

/** What config.json may say beside `text_config`; published files name the end of a turn there only. */
const OUTSIDE = [
  "dtype",
  "torch_dtype",
  "tie_word_embeddings",
  "quantization_config",
  "bos_token_id",
  "eos_token_id",
  "pad_token_id",
];

/**
 * The part of a Gemma 3 with eyes that reads and writes text; its config.json holds it in `text_config`. What sees is left
 * alone. Names are those of published files; PEFT maps adapters of these names to the modules of later transformers, whose
 * own names are the other ones.
 */
export const gemma3: ModelFamily = {
  ...gemma3Text,
  modelType: "gemma3",
  knownAs: "Gemma 3 4B, 12B and 27B, without images",
  tried: "a tiny model with eyes against transformers and PEFT",
  within: "language_model",
  embedding: "language_model.model.embed_tokens",
  layer: (index) => `language_model.model.layers.${index}`,
  finalNorm: "language_model.model.norm",
  head: "language_model.lm_head",
  otherNames: {
    embedding: "model.language_model.embed_tokens",
    layer: (index) => `model.language_model.layers.${index}`,
    finalNorm: "model.language_model.norm",
    head: "lm_head",
  },
  fields: (root) => {
    const { uri, values } = root, text = root.object("text_config");
    const outside = Object.fromEntries(Object.entries(values).filter(([name]) => OUTSIDE.includes(name)));
    return new Fields({ ...DEFAULTS, ...outside, ...text?.values }, uri, "text_config.");
  },
};
