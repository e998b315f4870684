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
  const context = readContext(fields, rope, sizes, layerType !== undefined);
  const rotaryDim = readRotaryDim(fields, rope, sizes.headDim);
  return {
    rotaryDim,
    theta: rope.positive("rope_theta", theta ?? fields.positive("rope_theta", 10_000)),
    scaling: readScaling(rope, rotaryDim, sizes, context),
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

/** Reads the context L that a model was trained for before it was stretched. */
type OriginalContext = () => number;

/**
 * As transformers does: the file's own field before that of the rotary settings, which is the only one where each kind of
 * layer has settings; the whole context where neither is there.
 */
function readContext(
  fields: Fields,
  rope: Fields,
  { maxPositionEmbeddings }: RopeSizes,
  byLayerType: boolean,
): OriginalContext {
  const name = "original_max_position_embeddings";
  const place = byLayerType || fields.get(name) === undefined ? rope : fields;
  return () => {
    const context = place.count(name, maxPositionEmbeddings);
    if (context === 1) throw place.wrong(name, "a whole number of 2 or more");
    return context;
  };
}

function readScaling(
  rope: Fields,
  rotaryDim: number,
  sizes: RopeSizes,
  context: OriginalContext,
): RopeScaling {
  const type = rope.string("rope_type", rope.string("type", "default"));
  switch (type) {
    case "default":
      return { type };
    case "linear":
      return { type, factor: rope.positive("factor") };
    case "llama3":
      return readLlama3(rope, context);
    case "yarn":
      if (rope.get("short_factor") === undefined) return readYarn(rope, sizes, context);
      return readLongrope(rope, rotaryDim, sizes, context); // its name in some Phi-3 files
    case "longrope":
    case "su": // its name in the first Phi-3 files
      return readLongrope(rope, rotaryDim, sizes, context);
    case "dynamic":
      throw rope.unsupported(
        'rope_type "dynamic", by which the longest row of a batch decides all angles,',
        SCALINGS,
      );
    default:
      throw rope.unsupported(`rope_type "${type}"`, SCALINGS);
  }
}

const SCALINGS = "default, linear, llama3, yarn, longrope";

function readLlama3(rope: Fields, context: OriginalContext): RopeScaling {
  const lowFreqFactor = rope.positive("low_freq_factor");
  const highFreqFactor = rope.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor) {
    throw rope.wrong("high_freq_factor", `more than low_freq_factor (${lowFreqFactor})`);
  }
  const factor = rope.positive("factor");
  const originalMaxPositionEmbeddings = context();
  return { type: "llama3", factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings };
}

function readYarn(rope: Fields, sizes: RopeSizes, context: OriginalContext): RopeScaling {
  const originalMaxPositionEmbeddings = context();
  const factor = rope.positive("factor", sizes.maxPositionEmbeddings / originalMaxPositionEmbeddings);
  const betaFast = rope.positive("beta_fast", 32), betaSlow = rope.positive("beta_slow", 1);
  if (betaFast < betaSlow) throw rope.wrong("beta_fast", `at least beta_slow (${betaSlow})`);
  const growth = (scale: number) => factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1;
  const mscale = rope.optionalPositive("mscale"), mscaleAll = rope.optionalPositive("mscale_all_dim");
  const attentionFactor = rope.positive(
    "attention_factor",
    mscale && mscaleAll ? growth(mscale) / growth(mscaleAll) : growth(1),
  );
  return {
    type: "yarn",
    factor,
    betaFast,
    betaSlow,
    truncate: rope.boolean("truncate", true),
    originalMaxPositionEmbeddings,
    attentionFactor,
  };
}

function readLongrope(
  rope: Fields,
  rotaryDim: number,
  sizes: RopeSizes,
  context: OriginalContext,
): RopeScaling {
  const original = context();
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
