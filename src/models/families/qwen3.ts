import type { ModelFamily } from "../family.ts";
import { withDefaults } from "../family_facts.ts";
import { llama } from "./llama.ts";
import { readQwen } from "./qwen2.ts";

/** A Llama whose queries and keys are normed head by head before they are turned; heads are wider than C / H. */
export const qwen3: ModelFamily = {
  ...llama,
  modelType: "qwen3",
  knownAs: "Qwen 3, dense",
  tried: "tiny models against transformers and PEFT",
  norms: { ...llama.norms, query: "self_attn.q_norm", key: "self_attn.k_norm" },
  fields: withDefaults({ head_dim: 128, max_position_embeddings: 32_768, sliding_window: 4096 }),
  read: (fields, sizes) => readQwen(fields, sizes, ["attention_bias"]),
};
