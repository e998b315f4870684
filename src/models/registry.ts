/**
 * The model families that can be fine-tuned. Adding one is an entry here.
 *
 * @module
 */

import { ModelFormatError } from "../errors.ts";
import type { ModelConfig } from "./config.ts";

/** What a family calls its parts. Names are module paths of the checkpoint; a tensor adds `.weight`. */
export interface ModelFamily {
  /** `model_type` of config.json. */
  readonly modelType: string;
  readonly embedding: string;
  /** Path of layer i, from 0. */
  readonly layer: (index: number) => string;
  /**
   * Linear maps of a layer, below its path, in the order q, k, v, o, gate, up, down: what LoRA can be
   * applied to.
   */
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

/** Shape of every tensor that a checkpoint of the family must hold, by name. Linear maps are [out, in]. */
export function weightShapes(family: ModelFamily, config: ModelConfig): Map<string, readonly number[]> {
  const { hiddenSize: C, intermediateSize: F, vocabSize: V } = config;
  const queries = config.numAttentionHeads * config.headDim;
  const keys = config.numKeyValueHeads * config.headDim;
  const linears = [[queries, C], [keys, C], [keys, C], [C, queries], [F, C], [F, C], [C, F]];
  const shapes = new Map<string, readonly number[]>([[`${family.embedding}.weight`, [V, C]]]);
  for (let i = 0; i < config.numHiddenLayers; i++) {
    for (const norm of family.norms) shapes.set(`${family.layer(i)}.${norm}.weight`, [C]);
    for (const [j, linear] of family.linears.entries()) {
      shapes.set(`${family.layer(i)}.${linear}.weight`, linears[j]!);
    }
  }
  shapes.set(`${family.finalNorm}.weight`, [C]);
  if (!config.tieWordEmbeddings) shapes.set(`${family.head}.weight`, [V, C]);
  return shapes;
}

/**
 * Checks, before any weight is read, that a checkpoint holds what its config promises. Further tensors are
 * allowed: old files carry rotary tables, and some tied models a copy of the head.
 *
 * @param infos Tensors of the checkpoint.
 * @param uri Name of the model folder for messages.
 * @throws {ModelFormatError} If a tensor is missing or of another shape.
 */
export function checkWeights(
  family: ModelFamily,
  config: ModelConfig,
  infos: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  uri: string,
): void {
  for (const [name, wanted] of weightShapes(family, config)) {
    const found = infos.get(name)?.shape;
    if (found && found.join() === wanted.join()) continue;
    throw new ModelFormatError(
      `Cannot use the model in "${uri}": tensor "${name}" is ${
        found ? `[${found.join(", ")}]` : "missing"
      }, ` +
        `config.json asks for [${wanted.join(", ")}]`,
    );
  }
}
