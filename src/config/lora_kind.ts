/**
 * What kind of low-rank update a run trains, or an adapter holds.
 *
 * @module
 */

/** Which biases are trained: none, all of the model's linear maps, or those of maps with an update. */
export type TrainedBias = "none" | "all" | "lora_only";
/** Every {@link TrainedBias}. */
export const BIASES: readonly TrainedBias[] = ["none", "all", "lora_only"];

/** Kinds, by PEFT's names for them. */
export interface LoraKind {
  /** Scales the update by alpha / √rank, which keeps high ranks learning; default false. */
  readonly useRslora?: boolean;
  /** Trains a magnitude for each output apart from its direction, which the update turns (DoRA); default false. */
  readonly useDora?: boolean;
  /** Default none. */
  readonly bias?: TrainedBias;
}

/** The kind alone, every default spelt out. */
export function loraKindOf(
  { useRslora = false, useDora = false, bias = "none" }: LoraKind,
): Required<LoraKind> {
  return { useRslora, useDora, bias };
}

/**
 * s, the factor before B·A.
 *
 * @see Kalajdzievski 2023, arXiv:2312.03732, for the rank-stabilised one.
 */
export function loraScaling(
  { rank, alpha, useRslora = false }: LoraKind & { readonly rank: number; readonly alpha: number },
): number {
  return alpha / (useRslora ? Math.sqrt(rank) : rank);
}

/** The method in words, such as `rank-stabilised LoRA and all biases`. */
export function loraMethod({ useRslora = false, useDora = false, bias = "none" }: LoraKind): string {
  const biases = { none: "", all: " and all biases", lora_only: " and its biases" }[bias];
  return `${useRslora ? "rank-stabilised " : ""}${useDora ? "DoRA" : "LoRA"}${biases}`;
}
