/**
 * Hugging Face's config.json as a typed, checked record. Both spellings are read: that of transformers 4
 * (`rope_theta`, `rope_scaling`), which most published models carry, and that of transformers 5
 * (`rope_parameters`, `layer_types`). A setting that would change the model's mathematics and is not implemented is
 * refused, never ignored.
 *
 * @module
 */

import { type ReadableFolder, readText } from "../storage.ts";
import { Fields, parseObject } from "./config_fields.ts";
import type { LinearPart } from "./family.ts";
import { MODEL_FAMILIES, type ModelFamilies } from "./registry.ts";
import type { Rope } from "./rope.ts";

/** g of the gated feed-forward block g(gate) · up. */
export type Activation = "silu" | "gelu_tanh";

/**
 * How one layer attends.
 *
 * @internal
 */
export interface LayerAttention {
  /** Newest keys that a query sees, itself included; Infinity for all before it. */
  readonly window: number;
  readonly rope: Rope;
}

/** Sizes and constants of a decoder-only transformer. */
export interface ModelConfig {
  /** Hugging Face's word for the family, such as `llama`. */
  readonly modelType: string;
  /** C, the width of the residual stream. */
  readonly hiddenSize: number;
  /** F, the width of the feed-forward block. */
  readonly intermediateSize: number;
  /** L, blocks. */
  readonly numHiddenLayers: number;
  /** H, query heads. */
  readonly numAttentionHeads: number;
  /** Divides `numAttentionHeads`: each serves that many query heads. */
  readonly numKeyValueHeads: number;
  /** Width of one head; even. Not always hiddenSize / numAttentionHeads. */
  readonly headDim: number;
  /** V, rows of the embedding. */
  readonly vocabSize: number;
  /** Longest text that the model was made for, tokens. */
  readonly maxPositionEmbeddings: number;
  /** Added to the mean square in norms. */
  readonly rmsNormEps: number;
  /** One for each layer; layers of one kind share the object. */
  readonly layers: readonly LayerAttention[];
  /** Factor of q·k. */
  readonly attentionScale: number;
  /** c of c·tanh(z/c) on attention scores, before the mask; null for none. */
  readonly attentionSoftcap: number | null;
  /** c of c·tanh(z/c) on logits; null for none. */
  readonly logitSoftcap: number | null;
  /** g of the feed-forward block. */
  readonly activation: Activation;
  /** Factor of token embeddings. */
  readonly embeddingScale: number;
  /** What the linear maps that add a bias compute. */
  readonly biased: readonly LinearPart[];
  /** Whether the output head is the embedding matrix; the checkpoint then holds no head. */
  readonly tieWordEmbeddings: boolean;
  /** Token that begins a text; null for none. */
  readonly bosTokenId: number | null;
  /** Tokens that end a text or an answer. */
  readonly eosTokenIds: readonly number[];
  /** Token that fills rows up; null for none. */
  readonly padTokenId: number | null;
  /** config.json as it stands. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** The file that describes a model. */
export const CONFIG_FILE = "config.json";

/**
 * Reads config.json of a model folder.
 *
 * @param families Those that the model may be of; default the ones that come with Lowrank.
 * @throws {StorageNotFoundError} If there is none.
 * @throws {ModelFormatError} If a field is missing, of the wrong kind, or contradicts another.
 * @throws {UnsupportedModelError} If the family, or a setting of it, is not implemented.
 */
export async function readModelConfig(
  folder: ReadableFolder,
  families: ModelFamilies = MODEL_FAMILIES,
): Promise<ModelConfig> {
  const uri = `${folder.uri}/${CONFIG_FILE}`;
  return parseModelConfig(await readText(folder, CONFIG_FILE), uri, families);
}

/**
 * As {@link readModelConfig}, from the file's text.
 *
 * @param uri Name of the file for messages.
 */
export function parseModelConfig(
  text: string,
  uri: string,
  families: ModelFamilies = MODEL_FAMILIES,
): ModelConfig {
  const raw = parseObject(text, uri);
  const root = new Fields(raw, uri);
  const modelType = root.string("model_type");
  const family = families.get(modelType);
  if (!family) {
    const supported = [...families.keys()].join(", ");
    throw root.unsupported(`model_type ${JSON.stringify(modelType)}`, supported);
  }
  const fields = family.fields(root);
  refuseUnsupported(fields);
  const hiddenSize = fields.count("hidden_size");
  const numHiddenLayers = fields.count("num_hidden_layers");
  const numAttentionHeads = fields.count("num_attention_heads");
  const vocabSize = fields.count("vocab_size");
  const headDim = readHeadDim(fields, hiddenSize, numAttentionHeads);
  const maxPositionEmbeddings = fields.count("max_position_embeddings", 2048);
  return {
    modelType,
    hiddenSize,
    intermediateSize: fields.count("intermediate_size"),
    numHiddenLayers,
    numAttentionHeads,
    numKeyValueHeads: readKeyValueHeads(fields, numAttentionHeads),
    headDim,
    vocabSize,
    maxPositionEmbeddings,
    rmsNormEps: fields.positive("rms_norm_eps", 1e-6),
    ...family.read(fields, { hiddenSize, numHiddenLayers, headDim, maxPositionEmbeddings }),
    tieWordEmbeddings: fields.boolean("tie_word_embeddings", false),
    bosTokenId: readTokenIds(fields, "bos_token_id", vocabSize)[0] ?? null,
    eosTokenIds: readTokenIds(fields, "eos_token_id", vocabSize),
    padTokenId: readTokenIds(fields, "pad_token_id", vocabSize)[0] ?? null,
    raw,
  };
}

/** Settings that change the mathematics of any family and are implemented for none. */
const REFUSED = ["rope_interleaved", "use_bidirectional_attention"];

function refuseUnsupported(fields: Fields): void {
  for (const name of REFUSED) {
    if (fields.boolean(name, false)) throw fields.unsupported(`${name} true`, "false");
  }
  const quantised = fields.get("quantization_config") as { quant_method?: unknown } | null | undefined;
  if (quantised && quantised.quant_method !== "bitsandbytes") {
    const method = JSON.stringify(quantised.quant_method) ?? "nothing";
    throw fields.unsupported(
      `a quantization_config of ${method}`,
      "bitsandbytes, GGUF or unquantised weights",
    );
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

/** One id, a list, or nothing. Some published models say "no token" by -1. */
function readTokenIds(fields: Fields, name: string, vocabSize: number): readonly number[] {
  const value = fields.get(name);
  const ids = value === undefined || value === -1 ? [] : Array.isArray(value) ? value : [value];
  if (ids.every((id) => Number.isSafeInteger(id) && id >= 0 && id < vocabSize)) return ids;
  throw fields.wrong(name, `null, a token id below vocab_size (${vocabSize}) or a list of such`);
}
