import type { FamilyFacts, FamilySizes, ModelFamily } from "../family.ts";
import type { Fields } from "../config_fields.ts";
import { readActivation, readBiased, readLayers, rootOfWidth, withDefaults } from "../family_facts.ts";
import { readRope } from "../rope_config.ts";
import { llama } from "./llama.ts";

/** What transformers takes where a Gemma's config.json is silent. */
export const GEMMA_DEFAULTS = {
  vocab_size: 256_000,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  max_position_embeddings: 8192,
  hidden_activation: "gelu_pytorch_tanh",
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
  tie_word_embeddings: true,
  pad_token_id: 0,
  eos_token_id: 1,
  bos_token_id: 2,
};

/**
 * Norms also after attention and feed-forward, each x̂·(1 + w); embeddings times √C; gelu; scores and logits capped
 * by c·tanh(z/c); every other layer slides, from the first.
 */
export const gemma2: ModelFamily = {
  ...llama,
  modelType: "gemma2",
  knownAs: "Gemma 2",
  tried: "tiny models against transformers and PEFT",
  norms: {
    ...llama.norms,
    afterAttention: "post_attention_layernorm",
    beforeFeedForward: "pre_feedforward_layernorm",
    afterFeedForward: "post_feedforward_layernorm",
  },
  normOffset: 1,
  fields: withDefaults(GEMMA_DEFAULTS),
  read: (fields, sizes) => ({
    ...readGemma(fields, sizes),
    layers: readLayers(fields, sizes.numHiddenLayers, {
      window: fields.optionalCount("sliding_window"),
      slides: (layer) => layer % 2 === 0,
      rope: readRope(fields, sizes),
    }),
  }),
};

/** Scales, caps and activation of a Gemma. `hidden_act` of its files is a leftover that transformers ignores too. */
export function readGemma(fields: Fields, { hiddenSize }: FamilySizes): Omit<FamilyFacts, "layers"> {
  return {
    attentionScale: fields.positive("query_pre_attn_scalar") ** -0.5,
    attentionSoftcap: fields.optionalPositive("attn_logit_softcapping"),
    logitSoftcap: fields.optionalPositive("final_logit_softcapping"),
    activation: readActivation(fields, "hidden_activation"),
    embeddingScale: rootOfWidth(fields, hiddenSize),
    biased: readBiased(fields, ["attention_bias"]),
  };
}
