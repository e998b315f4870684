/**
 * What LoRA trains of a model: which linear maps get an update, and of what size and strength each.
 *
 * @module
 */

/** The update of one linear map. */
export interface LoraTarget {
  readonly rank: number;
  /** alpha / rank */
  readonly scaling: number;
}

/** Which linear maps get an update, and of what kind. */
export interface LoraSpec {
  /** By module path, such as `model.layers.0.self_attn.q_proj`. */
  readonly targets: ReadonlyMap<string, LoraTarget>;
  /** Names of A and B in the adapter file. */
  readonly nameOf: (path: string, which: "A" | "B") => string;
}
