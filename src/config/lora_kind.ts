/**
 * What kind of low-rank update a run trains, or an adapter holds.
 *
 * @module
 */

/** Kinds, by PEFT's names for them. */
export interface LoraKind {
  /** Scales the update by alpha / √rank, which keeps high ranks learning; default false. */
  readonly useRslora?: boolean;
  /** Trains a magnitude for each output apart from its direction, which the update turns (DoRA); default false. */
  readonly useDora?: boolean;
}

/** The kind alone, every default spelt out. */
export function loraKindOf({ useRslora = false, useDora = false }: LoraKind): Required<LoraKind> {
  return { useRslora, useDora };
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

/** The method in words, such as `rank-stabilised LoRA`. */
export function loraMethod({ useRslora = false, useDora = false }: LoraKind): string {
  return `${useRslora ? "rank-stabilised " : ""}${useDora ? "DoRA" : "LoRA"}`;
}
