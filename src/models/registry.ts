/**
 * The model families that can be fine-tuned. Adding one is an entry here.
 *
 * @module
 */

/** What a family calls its parts. Names are module paths of the checkpoint; a tensor adds `.weight`. */
export interface ModelFamily {
  /** `model_type` of config.json. */
  readonly modelType: string;
  readonly embedding: string;
  /** Path of layer i, from 0. */
  readonly layer: (index: number) => string;
  /** Linear maps of a layer, below its path: what LoRA can be applied to. */
  readonly linears: readonly string[];
  /** Norms of a layer, below its path, in the order of the forward pass. */
  readonly norms: readonly string[];
  readonly finalNorm: string;
  /** Absent from the checkpoint when the head is tied to the embedding. */
  readonly head: string;
}

const llama: ModelFamily = {
  modelType: "llama",
  embedding: "model.embed_tokens",
  layer: (index) => `model.layers.${index}`,
  linears: [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
  ],
  norms: ["input_layernorm", "post_attention_layernorm"],
  finalNorm: "model.norm",
  head: "lm_head",
};

/** Families by `model_type`. */
export const MODEL_FAMILIES: ReadonlyMap<string, ModelFamily> = new Map(
  [llama].map((family) => [family.modelType, family]),
);

/** Module paths of every linear map of every layer, in layer order: what PEFT's `all-linear` means. */
export function linearPaths(family: ModelFamily, numHiddenLayers: number): string[] {
  return Array.from({ length: numHiddenLayers }, (_, i) => i)
    .flatMap((i) => family.linears.map((linear) => `${family.layer(i)}.${linear}`));
}
