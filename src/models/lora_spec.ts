/**
 * What LoRA trains of a model: which linear maps get an update, and of what size and strength each.
 *
 * @module
 */

/** The update of one linear map. */
export interface LoraTarget {
  readonly rank: number;
  /** alpha / rank, or alpha / √rank. */
  readonly scaling: number;
}

/** The trained tensors of an updated map. */
export type LoraTensor = "A" | "B" | "magnitude";

/** Which linear maps get an update, and of what kind. */
export interface LoraSpec {
  /** By module path, such as `model.layers.0.self_attn.q_proj`. */
  readonly targets: ReadonlyMap<string, LoraTarget>;
  /** Names in the adapter file. */
  readonly nameOf: (path: string, which: LoraTensor) => string;
  /** Whether the maps have magnitudes (DoRA); default false. */
  readonly dora?: boolean;
  /** Share of each update's input that a training step leaves out; default 0. */
  readonly dropout?: number;
  /** Name in the adapter file of a tensor that is trained itself; null, or none given, for a frozen one. */
  readonly wholeNameOf?: (tensor: string) => string | null;
}
