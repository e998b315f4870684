/**
 * Hugging Face's config.json as a typed, checked record. Both spellings are read: that of transformers 4
 * (`rope_theta`, `rope_scaling`), which most published models carry, and that of transformers 5
 * (`rope_parameters`). A setting that would change the model's mathematics and is not implemented is refused,
 * never ignored.
 *
 * @module
 */

import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import { type Folder, readText } from "../storage.ts";
import { MODEL_FAMILIES } from "./registry.ts";

/** How rotary frequencies are stretched for contexts longer than those trained on. */
export type RopeScaling =
  | { readonly type: "default" }
  | {
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFreqFactor: number;
    readonly highFreqFactor: number;
    /** Context length before stretching, tokens. */
    readonly originalMaxPositionEmbeddings: number;
  };

/** Sizes and constants of a decoder-only transformer. */
export interface ModelConfig {
  readonly modelType: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Divides `numAttentionHeads`: each serves that many query heads. */
  readonly numKeyValueHeads: number;
  /** Width of one head; even. Not always hiddenSize / numAttentionHeads. */
  readonly headDim: number;
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** Whether the output head is the embedding matrix; the checkpoint then holds no head. */
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | null;
  /** config.json as it stands. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** The file that describes a model. */
export const CONFIG_FILE = "config.json";

/**
 * Reads config.json of a model folder.
 *
 * @throws {StorageNotFoundError} If there is none.
 * @throws {ModelFormatError} If a field is missing, of the wrong kind, or contradicts another.
 * @throws {UnsupportedModelError} If the family, or a setting of it, is not implemented.
 */
export async function readModelConfig(folder: Folder): Promise<ModelConfig> {
  const uri = `${folder.uri}/${CONFIG_FILE}`;
  return parseModelConfig(await readText(folder, CONFIG_FILE), uri);
}

/**
 * As {@link readModelConfig}, from the file's text.
 *
 * @param uri Name of the file for messages.
 */
export function parseModelConfig(text: string, uri: string): ModelConfig {
  const fields = new Fields(parseObject(text, uri), uri);
  const modelType = fields.string("model_type");
  if (!MODEL_FAMILIES.has(modelType)) {
    throw fields.unsupported(
      `model_type ${JSON.stringify(modelType)}`,
      [...MODEL_FAMILIES.keys()].join(", "),
    );
  }
  refuseUnsupported(fields);
  const hiddenSize = fields.count("hidden_size");
  const numAttentionHeads = fields.count("num_attention_heads");
  const vocabSize = fields.count("vocab_size");
  return {
    modelType,
    hiddenSize,
    intermediateSize: fields.count("intermediate_size"),
    numHiddenLayers: fields.count("num_hidden_layers"),
    numAttentionHeads,
    numKeyValueHeads: readKeyValueHeads(fields, numAttentionHeads),
    headDim: readHeadDim(fields, hiddenSize, numAttentionHeads),
    vocabSize,
    maxPositionEmbeddings: fields.count("max_position_embeddings", 2048),
    rmsNormEps: fields.positive("rms_norm_eps", 1e-6),
    ...readRope(fields),
    tieWordEmbeddings: fields.boolean("tie_word_embeddings", false),
    bosTokenId: readTokenIds(fields, "bos_token_id", vocabSize)[0] ?? null,
    eosTokenIds: readTokenIds(fields, "eos_token_id", vocabSize),
    padTokenId: readTokenIds(fields, "pad_token_id", vocabSize)[0] ?? null,
    raw: fields.values,
  };
}

function refuseUnsupported(fields: Fields): void {
  const activation = fields.string("hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish") {
    throw fields.unsupported(`hidden_act "${activation}"`, "silu");
  }
  for (const name of ["attention_bias", "mlp_bias"]) {
    if (fields.boolean(name, false)) throw fields.unsupported(`${name} true`, "false");
  }
  if (fields.get("quantization_config") !== undefined) {
    throw fields.unsupported("a quantization_config", "unquantised F32, F16 or BF16 weights");
  }
}

function readKeyValueHeads(fields: Fields, numAttentionHeads: number): number {
  const heads = fields.count("num_key_value_heads", numAttentionHeads);
  if (numAttentionHeads % heads === 0) return heads;
  throw fields.wrong("num_key_value_heads", `a divisor of num_attention_heads (${numAttentionHeads})`);
}

function readHeadDim(fields: Fields, hiddenSize: number, numAttentionHeads: number): number {
  const given = fields.get("head_dim") !== undefined;
  if (!given && hiddenSize % numAttentionHeads !== 0) {
    throw fields.wrong(
      "hidden_size",
      `a multiple of num_attention_heads (${numAttentionHeads}), or a head_dim,`,
    );
  }
  const headDim = fields.count("head_dim", hiddenSize / numAttentionHeads);
  if (headDim % 2 === 0) return headDim;
  throw fields.wrong(given ? "head_dim" : "hidden_size", `an even width per head (not ${headDim})`);
}

function readRope(fields: Fields): Pick<ModelConfig, "ropeTheta" | "ropeScaling"> {
  const key = fields.get("rope_parameters") === undefined ? "rope_scaling" : "rope_parameters";
  const rope = fields.object(key) ?? new Fields({}, fields.uri);
  for (const place of [fields, rope]) {
    const rotated = place.positive("partial_rotary_factor", 1);
    if (rotated !== 1) throw place.unsupported(`partial_rotary_factor ${rotated}`, "1");
  }
  const ropeTheta = rope.positive("rope_theta", fields.positive("rope_theta", 10_000));
  const type = rope.string("rope_type", rope.string("type", "default"));
  if (type === "default") return { ropeTheta, ropeScaling: { type } };
  if (type !== "llama3") throw rope.unsupported(`rope_type "${type}"`, "default, llama3");
  const lowFreqFactor = rope.positive("low_freq_factor");
  const highFreqFactor = rope.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor) {
    throw rope.wrong("high_freq_factor", `more than low_freq_factor (${lowFreqFactor})`);
  }
  const originalMaxPositionEmbeddings = rope.count("original_max_position_embeddings");
  const factor = rope.positive("factor");
  const scaling = { type, factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } as const;
  return { ropeTheta, ropeScaling: scaling };
}

/** One id, a list, or nothing. Some published models say "no token" by -1. */
function readTokenIds(fields: Fields, name: string, vocabSize: number): readonly number[] {
  const value = fields.get(name);
  const ids = value === undefined || value === -1 ? [] : Array.isArray(value) ? value : [value];
  if (ids.every((id) => Number.isSafeInteger(id) && id >= 0 && id < vocabSize)) return ids;
  throw fields.wrong(name, `null, a token id below vocab_size (${vocabSize}) or a list of such`);
}

/** Checked access to the fields of a JSON object; an absent field and null are the same. */
class Fields {
  constructor(readonly values: Readonly<Record<string, unknown>>, readonly uri: string, readonly path = "") {}

  get(name: string): unknown {
    return Object.hasOwn(this.values, name) ? this.values[name] ?? undefined : undefined;
  }

  string(name: string, absent?: string): string {
    const value = this.get(name) ?? absent;
    if (typeof value === "string") return value;
    throw this.wrong(name, "a string");
  }

  boolean(name: string, absent: boolean): boolean {
    const value = this.get(name) ?? absent;
    if (typeof value === "boolean") return value;
    throw this.wrong(name, "true or false");
  }

  count(name: string, absent?: number): number {
    const value = this.get(name) ?? absent;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw this.wrong(name, "a whole number of 1 or more");
  }

  positive(name: string, absent?: number): number {
    const value = this.get(name) ?? absent;
    if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
    throw this.wrong(name, "a number above 0");
  }

  object(name: string): Fields | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (isObject(value)) return new Fields(value, this.uri, `${this.path}${name}.`);
    throw this.wrong(name, "an object");
  }

  wrong(name: string, wanted: string): ModelFormatError {
    const found = Object.hasOwn(this.values, name) ? `is ${JSON.stringify(this.values[name])}` : "is missing";
    return new ModelFormatError(
      `Cannot read "${this.uri}": ${this.path}${name} ${found}, ${wanted} is wanted`,
    );
  }

  unsupported(found: string, supported: string): UnsupportedModelError {
    const where = this.path && `${this.path.slice(0, -1)} with `;
    return new UnsupportedModelError(
      `Cannot use the model of "${this.uri}": ${where}${found} is not supported (supported: ${supported})`,
    );
  }
}

function parseObject(text: string, uri: string): Record<string, unknown> {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw new ModelFormatError(`Cannot read "${uri}": it is not JSON: ${(error as Error).message}`);
  }
  if (isObject(root)) return root;
  throw new ModelFormatError(
    `Cannot read "${uri}": it is ${JSON.stringify(root)?.slice(0, 40)}, an object is wanted`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
