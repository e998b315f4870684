import type { ModelFamily } from "../family.ts";
import { plainFacts, withDefaults } from "../family_facts.ts";
import { llama } from "./llama.ts";

/**
 * A Llama whose queries, keys and values are one map, and gate and up another; every layer slides where
 * `sliding_window` is set. Its 128k versions stretch by longrope, Phi-4-mini turns three quarters of a head.
 */
export const phi3: ModelFamily = {
  ...llama,
  modelType: "phi3",
  knownAs: "Phi-3, Phi-3.5 and Phi-4 mini",
  tried: "tiny models against transformers and PEFT",
  linears: [
    { path: "self_attn.qkv_proj", parts: ["q", "k", "v"] },
    { path: "self_attn.o_proj", parts: ["o"] },
    { path: "mlp.gate_up_proj", parts: ["gate", "up"] },
    { path: "mlp.down_proj", parts: ["down"] },
  ],
  fields: withDefaults({
    max_position_embeddings: 4096,
    original_max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
  }),
  read: (fields, sizes) => plainFacts(fields, sizes, { window: fields.optionalCount("sliding_window") }),
};
