/**
 * Readers of the facts of config.json that several families share.
 *
 * @module
 */
import type { Activation, LayerAttention } from "./config.ts";
import { Fields } from "./config_fields.ts";
import type { FamilyFacts, FamilySizes, LinearPart } from "./family.ts";
import type { Rope } from "./rope.ts";
import { readRope } from "./rope_config.ts";

/** Where a plain decoder differs from Llama 2. */
export interface PlainFamily {
  /** Keys that a query of a sliding layer sees; default null, where none slides. */
  readonly window?: number | null;
  /** Default all, where there is a window. */
  readonly slides?: (layer: number) => boolean;
  /** As of {@link readBiased}; default none. */
  readonly biasSettings?: readonly BiasSetting[];
}

/** The facts of a plain decoder: scores are scaled by headDim^(−1/2), nothing is capped. */
export function plainFacts(
  fields: Fields,
  sizes: FamilySizes,
  { window = null, slides = () => true, biasSettings = [] }: PlainFamily = {},
): FamilyFacts {
  return {
    layers: readLayers(fields, sizes.numHiddenLayers, { window, slides, rope: readRope(fields, sizes) }),
    attentionScale: sizes.headDim ** -0.5,
    attentionSoftcap: null,
    logitSoftcap: null,
    activation: readActivation(fields, "hidden_act"),
    embeddingScale: 1,
    biased: readBiased(fields, biasSettings),
  };
}

/** Settings of config.json, and the maps that add a bias where one is true. */
const BIASED_BY = {
  attention_bias: ["q", "k", "v", "o"],
  mlp_bias: ["gate", "up", "down"],
} as const satisfies Readonly<Record<BiasSetting, readonly LinearPart[]>>;

/** A setting that gives maps a bias. */
export type BiasSetting = "attention_bias" | "mlp_bias";

/**
 * What the maps compute that add a bias.
 *
 * @param settings Those that transformers' model of the family has.
 * @throws {UnsupportedModelError} If another is true.
 */
export function readBiased(fields: Fields, settings: readonly BiasSetting[]): readonly LinearPart[] {
  return (Object.keys(BIASED_BY) as BiasSetting[]).flatMap((name) => {
    if (!fields.boolean(name, false)) return [];
    if (settings.includes(name)) return BIASED_BY[name];
    throw fields.unsupported(`${name} true`, "false");
  });
}

/** The fields of an object, with values for those that are absent. One that is null stays null. */
export function withDefaults(defaults: Readonly<Record<string, unknown>>): (root: Fields) => Fields {
  return ({ values, uri, path }) => new Fields({ ...defaults, ...values }, uri, path);
}

/** Names of activations in config.json. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu_pytorch_tanh: "gelu_tanh",
};

/** @throws {UnsupportedModelError} If the activation is another one than the families here have. */
export function readActivation(fields: Fields, name: string): Activation {
  const found = fields.string(name, "silu");
  if (Object.hasOwn(ACTIVATIONS, found)) return ACTIVATIONS[found]!;
  throw fields.unsupported(`${name} "${found}"`, Object.keys(ACTIVATIONS).join(", "));
}

/** How the layers of a model attend, where `layer_types` does not say otherwise. */
export interface LayerPattern {
  /** Keys that a query of a sliding layer sees; null where none slides. */
  readonly window: number | null;
  readonly slides: (layer: number) => boolean;
  readonly rope: Rope;
  /** Of sliding layers; default `rope`. */
  readonly slidingRope?: Rope;
}

const FULL = "full_attention", SLIDING = "sliding_attention";

/**
 * One entry for each layer: by `layer_types` where the file has it, else by the family's pattern.
 *
 * @throws {ModelFormatError} If `layer_types` has another length, or a layer slides and there is no window.
 * @throws {UnsupportedModelError} If it names a kind of attention that is not implemented.
 */
export function readLayers(fields: Fields, count: number, pattern: LayerPattern): LayerAttention[] {
  const { window, slides, rope, slidingRope = rope } = pattern;
  const types = fields.get("layer_types") ??
    Array.from({ length: count }, (_, i) => window !== null && slides(i) ? SLIDING : FULL);
  if (!Array.isArray(types) || types.length !== count) {
    throw fields.wrong("layer_types", `a list of ${count} kinds of attention, one for each layer,`);
  }
  const full = { window: Infinity, rope }, sliding = { window: window ?? Infinity, rope: slidingRope };
  return types.map((type) => {
    if (type === FULL) return full;
    if (type !== SLIDING) {
      throw fields.unsupported(`layer_types with ${JSON.stringify(type)}`, `${FULL}, ${SLIDING}`);
    }
    if (window !== null) return sliding;
    throw fields.wrong("layer_types", `only ${FULL}, as no sliding_window is set or in use,`);
  });
}

/** The window of models that have one where `use_sliding_window` says so. */
export function optionalWindow(fields: Fields): number | null {
  return fields.boolean("use_sliding_window", false) ? fields.optionalCount("sliding_window") : null;
}

/**
 * √hiddenSize, rounded as transformers rounds it: to the element type that config.json says the weights have, since
 * the model was trained with the rounded factor.
 */
export function rootOfWidth(fields: Fields, hiddenSize: number): number {
  const root = Math.sqrt(hiddenSize);
  const type = fields.string("dtype", fields.string("torch_dtype", "float32"));
  if (type === "bfloat16") return toBfloat16(root);
  return type === "float16" ? Math.f16round(root) : Math.fround(root);
}

/** The nearest number of eight significant bits, ties to even; for numbers that are normal in f32. */
function toBfloat16(value: number): number {
  const step = 2 ** (Math.floor(Math.log2(value)) - 7);
  const below = Math.floor(value / step), rest = value / step - below;
  return (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below) * step;
}
