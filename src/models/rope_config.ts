/**
 * Reading rotary settings from config.json, in the spellings of transformers 5 (`rope_parameters`, with an object for
 * each kind of layer where they differ) and 4 (`rope_theta`, `rope_scaling`, whose type was once called `type`).
 *
 * @module
 */
import { Fields } from "./config_fields.ts";
import type { Rope, RopeScaling } from "./rope.ts";

/** What angles depend on beside the rotary settings. */
export interface RopeSizes {
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
}

/** Which of the settings to read. */
export interface RopeChoice {
  /** Key of `rope_parameters` where the file has an object for each kind of layer. */
  readonly layerType?: string;
  /** Where the settings name none; default `rope_theta` of the file, else 10,000. */
  readonly theta?: number;
}

/**
 * The rotary settings of a model, or of one kind of its layers.
 *
 * @throws {ModelFormatError} If a setting is missing or out of range.
 * @throws {UnsupportedModelError} If the scaling is not implemented.
 */
export function readRope(fields: Fields, sizes: RopeSizes, { layerType, theta }: RopeChoice = {}): Rope {
  const current = fields.object("rope_parameters");
  const given = current ? (layerType ? current.object(layerType) : current) : fields.object("rope_scaling");
  const rope = given ?? new Fields({}, fields.uri);
  const rotaryDim = readRotaryDim(fields, rope, sizes.headDim);
  return {
    rotaryDim,
    theta: rope.positive("rope_theta", theta ?? fields.positive("rope_theta", 10_000)),
    scaling: readScaling(fields, rope, rotaryDim, sizes),
  };
}

/** Settings without any scaling. */
export function plainRope(theta: number, { headDim }: RopeSizes): Rope {
  return { rotaryDim: headDim, theta, scaling: { type: "default" } };
}

function readRotaryDim(fields: Fields, rope: Fields, headDim: number): number {
  const place = rope.get("partial_rotary_factor") === undefined ? fields : rope;
  const rotaryDim = Math.floor(headDim * place.positive("partial_rotary_factor", 1));
  if (rotaryDim >= 2 && rotaryDim <= headDim && rotaryDim % 2 === 0) return rotaryDim;
  throw place.wrong("partial_rotary_factor", `a share of the head's ${headDim} elements that is even`);
}

function readScaling(fields: Fields, rope: Fields, rotaryDim: number, sizes: RopeSizes): RopeScaling {
  const type = rope.string("rope_type", rope.string("type", "default"));
  switch (type) {
    case "default":
      return { type };
    case "linear":
      return { type, factor: rope.positive("factor") };
    case "llama3":
      return readLlama3(rope);
    case "longrope":
    case "su": // its name in the first Phi-3 files
      return readLongrope(fields, rope, rotaryDim, sizes);
    default:
      throw rope.unsupported(`rope_type "${type}"`, "default, linear, llama3, longrope");
  }
}

function readLlama3(rope: Fields): RopeScaling {
  const lowFreqFactor = rope.positive("low_freq_factor");
  const highFreqFactor = rope.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor) {
    throw rope.wrong("high_freq_factor", `more than low_freq_factor (${lowFreqFactor})`);
  }
  const originalMaxPositionEmbeddings = rope.count("original_max_position_embeddings");
  const factor = rope.positive("factor");
  return { type: "llama3", factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings };
}

function readLongrope(fields: Fields, rope: Fields, rotaryDim: number, sizes: RopeSizes): RopeScaling {
  const ORIGINAL = "original_max_position_embeddings";
  const place = rope.get(ORIGINAL) === undefined ? fields : rope;
  const original = place.count(ORIGINAL, sizes.maxPositionEmbeddings);
  if (original === 1) throw place.wrong(ORIGINAL, "a whole number of 2 or more");
  const factor = rope.positive("factor", sizes.maxPositionEmbeddings / original);
  const attentionFactor = rope.positive(
    "attention_factor",
    factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original)),
  );
  return {
    type: "longrope",
    shortFactors: rope.positives("short_factor", rotaryDim / 2),
    longFactors: rope.positives("long_factor", rotaryDim / 2),
    originalMaxPositionEmbeddings: original,
    attentionFactor,
  };
}
