/**
 * What a GGUF file says of its model. llama.cpp takes much from the architecture's name alone, so a model that differs
 * there is refused: its file would load and compute something else.
 *
 * @module
 */
import { f32, type GgufEntry, text, u32 } from "../checkpoint/gguf_writer.ts";
import { UnsupportedModelError } from "../errors.ts";
import type { LayerAttention, ModelConfig } from "../models/config.ts";
import { inverseFrequencies, type Rope, type RopeScaling } from "../models/rope.ts";
import { ggufArchitecture } from "./gguf_architectures.ts";

/** A model's metadata, and the tables that go with it as tensors of one dimension. */
export interface ModelMetadata {
  readonly entries: ReadonlyMap<string, GgufEntry>;
  readonly tables: ReadonlyMap<string, Float32Array>;
  /** What the file cannot say, in words for the user. */
  readonly warnings: readonly string[];
}

/** Layers of the models whose scores Gemma scales by (width / heads)^(−1/2). */
const LAYERS_OF_27B: Readonly<Record<string, number>> = { gemma2: 46, gemma3: 62 };

/** Architectures whose queries are as wide as the model. */
const SQUARE = ["qwen2", "phi3"];

/**
 * The metadata of a model, without its tokenizer's and the file's own.
 *
 * @param uri Name of the model for messages.
 * @throws {UnsupportedModelError} If llama.cpp would compute something else.
 */
export function modelMetadata(config: ModelConfig, uri: string): ModelMetadata {
  const architecture = ggufArchitecture(config.modelType), full = fullLayer(config), rope = full.rope;
  const fail = (found: string, wanted: string) =>
    new UnsupportedModelError(
      `Cannot export "${uri}" as GGUF: llama.cpp's ${architecture} has no place for ${found}, only for ${wanted}`,
    );
  refuseOthers(architecture, config, fail);
  const entries: [string, GgufEntry][] = [
    ["block_count", u32(config.numHiddenLayers)],
    ["context_length", u32(config.maxPositionEmbeddings)],
    ["embedding_length", u32(config.hiddenSize)],
    ["feed_forward_length", u32(config.intermediateSize)],
    ["attention.head_count", u32(config.numAttentionHeads)],
    ["attention.head_count_kv", u32(config.numKeyValueHeads)],
    ["attention.key_length", u32(config.headDim)],
    ["attention.value_length", u32(config.headDim)],
    ["attention.layer_norm_rms_epsilon", f32(config.rmsNormEps)],
    ["vocab_size", u32(config.vocabSize)],
    ["rope.dimension_count", u32(rope.rotaryDim)],
    ["rope.freq_base", f32(rope.theta)],
  ];
  const window = Math.min(...config.layers.map((layer) => layer.window));
  if (Number.isFinite(window)) entries.push(["attention.sliding_window", u32(window)]);
  else if (architecture === "phi3") entries.push(["attention.sliding_window", u32(0)]);
  if (architecture === "gemma2") {
    entries.push(["attn_logit_softcapping", f32(config.attentionSoftcap!)]);
    entries.push(["final_logit_softcapping", f32(config.logitSoftcap!)]);
  }
  if (architecture === "gemma3") {
    const sliding = config.layers.find((layer) => layer !== full);
    if (sliding) entries.push(["rope.freq_base_swa", f32(sliding.rope.theta)]);
  }
  const scaling = ropeScaling(architecture, rope, fail);
  return {
    entries: new Map(
      [...entries, ...scaling.entries].map(([key, value]) => [`${architecture}.${key}`, value]),
    ),
    tables: scaling.tables,
    warnings: windowWarnings(architecture, window, config),
  };
}

/** Architectures whose maps may have biases. */
const BIASED = ["llama", "qwen2"];

/** A layer that sees all, or the first where every one slides. */
function fullLayer({ layers }: ModelConfig): LayerAttention {
  return layers.find(({ window }) => window === Infinity) ?? layers[0]!;
}

/** @throws What `fail` makes, for what llama.cpp takes for granted and this model has otherwise. */
function refuseOthers(
  architecture: string,
  config: ModelConfig,
  fail: (found: string, wanted: string) => Error,
): void {
  const { attentionSoftcap, logitSoftcap, activation, attentionScale, layers, headDim } = config;
  const gemma = architecture.startsWith("gemma");
  const wantedActivation = gemma ? "gelu_tanh" : "silu";
  if (activation !== wantedActivation) throw fail(`the activation ${activation}`, wantedActivation);
  const capped = attentionSoftcap !== null && logitSoftcap !== null;
  const plain = attentionSoftcap === null && logitSoftcap === null;
  if (!(architecture === "gemma2" ? capped : plain)) {
    const found = `attn_logit_softcapping ${attentionSoftcap} and final_logit_softcapping ${logitSoftcap}`;
    throw fail(found, architecture === "gemma2" ? "both" : "neither");
  }
  const width = config.numHiddenLayers === LAYERS_OF_27B[architecture]
    ? config.hiddenSize / config.numAttentionHeads
    : headDim;
  if (Math.abs(attentionScale * Math.sqrt(width) - 1) > 1e-6) {
    throw fail(`query_pre_attn_scalar ${Number((attentionScale ** -2).toPrecision(6))}`, `${width}`);
  }
  if (config.biased.length > 0 && !BIASED.includes(architecture)) throw fail("attention_bias true", "false");
  if (SQUARE.includes(architecture) && headDim * config.numAttentionHeads !== config.hiddenSize) {
    throw fail(
      `heads of ${headDim}`,
      `${config.hiddenSize / config.numAttentionHeads}, the width by their number`,
    );
  }
  if (!gemma) return;
  const slides = layers.map(({ window }) => Number.isFinite(window));
  const sees = (i: number) => architecture === "gemma2" ? i % 2 === 1 : (i + 1) % 6 === 0;
  if (slides.some(Boolean) && slides.some((sliding, i) => sliding === sees(i))) {
    throw fail(
      "this pattern of sliding layers",
      architecture === "gemma2" ? "every other one" : "five of six",
    );
  }
}

function ropeScaling(
  architecture: string,
  rope: Rope,
  fail: (found: string, wanted: string) => Error,
): Pick<ModelMetadata, "entries" | "tables"> {
  const { scaling } = rope;
  switch (scaling.type) {
    case "default":
      return { entries: new Map(), tables: new Map() };
    case "linear":
      return {
        entries: new Map([["rope.scaling.type", text("linear")], [
          "rope.scaling.factor",
          f32(scaling.factor),
        ]]),
        tables: new Map(),
      };
    case "llama3":
      if (architecture !== "llama") throw fail("rope_type llama3", "default and linear");
      return { entries: new Map(), tables: new Map([["rope_freqs.weight", divisors(rope)]]) };
    case "yarn": {
      const { factor, originalMaxPositionEmbeddings } = scaling;
      if (!isUsualYarn(scaling)) {
        throw fail("rope_type yarn with turns or an attention factor of its own", "what the factor gives");
      }
      return {
        entries: new Map([
          ["rope.scaling.type", text("yarn")],
          ["rope.scaling.factor", f32(factor)],
          ["rope.scaling.original_context_length", u32(originalMaxPositionEmbeddings)],
        ]),
        tables: new Map(),
      };
    }
    case "longrope":
      if (architecture !== "phi3") throw fail("rope_type longrope", "default and linear");
      return {
        entries: new Map([
          ["rope.scaling.original_context_length", u32(scaling.originalMaxPositionEmbeddings)],
          ["rope.scaling.attn_factor", f32(scaling.attentionFactor)],
        ]),
        tables: new Map([
          ["rope_factors_long.weight", Float32Array.from(scaling.longFactors)],
          ["rope_factors_short.weight", Float32Array.from(scaling.shortFactors)],
        ]),
      };
  }
  return scaling satisfies never;
}

/** Whether all but factor and context is what llama.cpp takes where a file says no more. */
function isUsualYarn(
  { factor, betaFast, betaSlow, truncate, attentionFactor }: Extract<RopeScaling, { type: "yarn" }>,
): boolean {
  const usual = betaFast === 32 && betaSlow === 1 && truncate && factor >= 1;
  return usual && Math.abs(attentionFactor - (0.1 * Math.log(factor) + 1)) < 1e-6;
}

/** By how much each frequency is less than without stretching: [rotaryDim / 2]. */
function divisors(rope: Rope): Float32Array<ArrayBuffer> {
  const plain = inverseFrequencies({ ...rope, scaling: { type: "default" } }, 1);
  const stretched = inverseFrequencies(rope, 1);
  return Float32Array.from(plain, (frequency, i) => frequency / stretched[i]!);
}

function windowWarnings(
  architecture: string,
  window: number,
  { maxPositionEmbeddings }: ModelConfig,
): string[] {
  if (architecture.startsWith("gemma") || window >= maxPositionEmbeddings) return [];
  return [
    `llama.cpp computes ${architecture} without its sliding window of ${window} tokens: ` +
    "answers to longer texts differ from those here",
  ];
}

/** What a file says of itself. */
export function fileMetadata(
  architecture: string,
  name: string,
  fileType: number,
  licence: Readonly<Record<string, string>>,
): [string, GgufEntry][] {
  return [
    ["general.architecture", text(architecture)],
    ["general.type", text("model")],
    ["general.name", text(name)],
    ...Object.entries(licence).map(([key, value]): [string, GgufEntry] => [`general.${key}`, text(value)]),
    ["general.file_type", u32(fileType)],
    ["general.quantization_version", u32(2)],
  ];
}
