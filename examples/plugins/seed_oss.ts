/**
 * Models of type `seed_oss`: a Llama whose output projection has a bias by a setting of its own, so that queries, keys and
 * values have one by default and the output has none.
 *
 *     lowrank train --plugin examples/plugins/seed_oss.ts --base-model models/seed-oss ...
 *
 * @see transformers 5, `SeedOssConfig` and `SeedOssAttention`.
 * @module
 */
import { definePlugin, MODEL_FAMILIES, type ModelFamily, plainFacts, withDefaults } from "lowrank";

const llama = MODEL_FAMILIES.get("llama")!;

const seedOss: ModelFamily = {
  ...llama,
  modelType: "seed_oss",
  knownAs: "Seed-OSS",
  tried: "a tiny model, a step of training",
  fields: withDefaults({
    head_dim: 128,
    num_key_value_heads: 8,
    max_position_embeddings: 524_288,
    attention_bias: true,
  }),
  read(fields, sizes) {
    const facts = plainFacts(fields, sizes, { biasSettings: ["attention_bias", "mlp_bias"] });
    const others = facts.biased.filter((part) => part !== "o");
    return { ...facts, biased: fields.boolean("attention_out_bias", false) ? [...others, "o"] : others };
  },
};

export default definePlugin({ apiVersion: 1, name: "seed-oss", modelFamilies: [seedOss] });
