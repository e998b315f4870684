import type { LinearMap, ModelFamily } from "../family.ts";
import { plainFacts } from "../family_facts.ts";

const linear = (path: string, part: LinearMap["parts"][number]): LinearMap => ({
  path,
  parts: [part],
});

/** Llama 2 and 3, SmolLM2, TinyLlama: the plain pre-norm decoder, of which the other families differ. */
export const llama: ModelFamily = {
  modelType: "llama",
  knownAs: "Llama 2 and 3, SmolLM2, TinyLlama",
  tried: "SmolLM2 135M: 20 training steps as PEFT's; stories260K; the bundled model",
  embedding: "model.embed_tokens",
  layer: (index) => `model.layers.${index}`,
  linears: [
    linear("self_attn.q_proj", "q"),
    linear("self_attn.k_proj", "k"),
    linear("self_attn.v_proj", "v"),
    linear("self_attn.o_proj", "o"),
    linear("mlp.gate_proj", "gate"),
    linear("mlp.up_proj", "up"),
    linear("mlp.down_proj", "down"),
  ],
  norms: {
    beforeAttention: "input_layernorm",
    query: null,
    key: null,
    afterAttention: null,
    beforeFeedForward: "post_attention_layernorm",
    afterFeedForward: null,
  },
  normOffset: 0,
  finalNorm: "model.norm",
  head: "lm_head",
  fields: (root) => root,
  read: (fields, sizes) => plainFacts(fields, sizes, { biasSettings: ["attention_bias", "mlp_bias"] }),
};
