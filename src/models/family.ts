/**
 * What sets one model family apart: names, shapes and the facts of its config.json. The decoder reads a family and its
 * config and knows no family by name.
 *
 * @module
 */
import type { ModelConfig } from "./config.ts";
import type { Fields } from "./config_fields.ts";

/** What a linear map computes. */
export type LinearPart = "q" | "k" | "v" | "o" | "gate" | "up" | "down";

/**
 * A linear map of a layer: what LoRA can be applied to. A fused one computes several parts, one after the other along
 * its output, and is one map for LoRA too, as in PEFT.
 */
export interface LinearMap {
  /** Module path below the layer's; the tensor adds `.weight`. */
  readonly path: string;
  readonly parts: readonly LinearPart[];
}

/** Module paths of a layer's norms, below the layer's; null where the family has none. */
export interface LayerNorms {
  readonly beforeAttention: string;
  /** Over each head of the queries, before they are turned. */
  readonly query: string | null;
  readonly key: string | null;
  /** Of what attention adds to the residual stream. */
  readonly afterAttention: string | null;
  readonly beforeFeedForward: string;
  /** Of what the feed-forward block adds to the residual stream. */
  readonly afterFeedForward: string | null;
}

/** Sizes that a family's own facts depend on. */
export type FamilySizes = Pick<
  ModelConfig,
  "hiddenSize" | "numHiddenLayers" | "headDim" | "maxPositionEmbeddings"
>;

/** The facts of config.json that families read each in its own way. */
export type FamilyFacts = Pick<
  ModelConfig,
  | "layers"
  | "attentionScale"
  | "attentionSoftcap"
  | "logitSoftcap"
  | "activation"
  | "embeddingScale"
  | "biased"
>;

/** Where a checkpoint has what stands outside of the layers, and the layers. */
export interface FamilyNames {
  readonly embedding: string;
  /** Path of layer i, from 0. */
  readonly layer: (index: number) => string;
  readonly finalNorm: string;
  /** Absent from the checkpoint when the head is tied to the embedding. */
  readonly head: string;
}

/**
 * A model family. Names are module paths of the checkpoint.
 *
 * @internal
 */
export interface ModelFamily extends FamilyNames {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** Models of it that people use, for lists. */
  readonly knownAs: string;
  /** What it was tried with, for lists. */
  readonly tried: string;
  /** Name of the module that holds the model, where checkpoints hold more; default none. */
  readonly within?: string;
  /** What some of its checkpoints call the same. */
  readonly otherNames?: FamilyNames;
  /** In the order of the forward pass. */
  readonly linears: readonly LinearMap[];
  readonly norms: LayerNorms;
  /** What is added to a norm's weight w: y = x̂ · (offset + w). */
  readonly normOffset: 0 | 1;
  /** The fields that describe the text model, with transformers' defaults for those that are absent. */
  readonly fields: (root: Fields) => Fields;
  /**
   * Reads the family's own facts.
   *
   * @throws {ModelFormatError} If a field is missing or wrong.
   * @throws {UnsupportedModelError} If a setting is not implemented.
   */
  readonly read: (fields: Fields, sizes: FamilySizes) => FamilyFacts;
}

/** Paths of a layer's norms, those that the family has, in the order of the forward pass. */
export function normPaths({ norms }: ModelFamily): string[] {
  const { beforeAttention, query, key, afterAttention, beforeFeedForward, afterFeedForward } = norms;
  return [beforeAttention, query, key, afterAttention, beforeFeedForward, afterFeedForward]
    .filter((path) => path !== null);
}

/** Whether a linear map adds a bias, tensor `.bias`. */
export function hasBias({ parts }: LinearMap, { biased }: Pick<ModelConfig, "biased">): boolean {
  return biased.includes(parts[0]!);
}

/** [out, in] of a linear map. */
export function linearShape({ parts }: LinearMap, config: ModelConfig): [number, number] {
  const { hiddenSize: C, intermediateSize: F } = config;
  const out = partWidths(parts, config).reduce((sum, width) => sum + width, 0);
  if (parts[0] === "o") return [out, config.numAttentionHeads * config.headDim];
  return [out, parts[0] === "down" ? F : C];
}

/** Output columns of each part. */
export function partWidths(parts: readonly LinearPart[], config: ModelConfig): number[] {
  const { hiddenSize: C, intermediateSize: F } = config;
  const queries = config.numAttentionHeads * config.headDim;
  const keys = config.numKeyValueHeads * config.headDim;
  const widths = { q: queries, k: keys, v: keys, o: C, gate: F, up: F, down: C };
  return parts.map((part) => widths[part]);
}
