/**
 * The files beside an ONNX model from which transformers.js knows what it is: config.json, generation_config.json and the
 * tokenizer's.
 *
 * @module
 */
import { copyFile, isLicence } from "../checkpoint/copied_files.ts";
import { ChatTemplate } from "../data/chat_template.ts";
import { Tokenizer } from "../data/tokenizer.ts";
import { readTokenizerFiles } from "../data/tokenizer_files.ts";
import { ModelFormatError } from "../errors.ts";
import { GENERATION_CONFIG_FILE, readStopTokens } from "../generate/prompt.ts";
import type { BaseModel } from "../model_manager.ts";
import { CONFIG_FILE, type ModelConfig } from "../models/config.ts";
import { type Folder, type ReadableFolder, readText, writeFile } from "../storage.ts";

/** What transformers.js is to know of one file. */
export interface OnnxFileFacts {
  /** Name in the folder `onnx`. */
  readonly file: string;
  /** Files of weights beside it. */
  readonly dataFiles: number;
  /** transformers.js' word for its element type. */
  readonly dtype: "fp32" | "fp16";
}

/** transformers.js' own part of config.json. */
interface TransformersJsConfig {
  readonly dtype?: string;
  readonly use_external_data_format?: Readonly<Record<string, number>>;
}

const OWN_CONFIG = "transformers.js_config";

/** Files that are copied as they are. */
const COPIED = ["tokenizer.json", "special_tokens_map.json", "added_tokens.json"];

/** What an earlier export into the folder said of its own files; nothing where there was none. */
export async function readOwnConfig(out: Folder): Promise<TransformersJsConfig> {
  if (!await out.exists(CONFIG_FILE)) return {};
  const config = await readObject(out, CONFIG_FILE);
  return (config[OWN_CONFIG] ?? {}) as TransformersJsConfig;
}

/** What goes beside a model, read and checked before its weights are written. */
export interface OnnxDescription {
  readonly base: Pick<BaseModel, "folder" | "config">;
  /** Of tokenizer_config.json. */
  readonly tokenizer: Readonly<Record<string, unknown>>;
  /** Of generation_config.json. */
  readonly generation: Readonly<Record<string, unknown>>;
}

/**
 * Reads what describes a model.
 *
 * @param chatTemplate Jinja in place of the tokenizer's own; null for that.
 * @throws {StorageNotFoundError} If the model has no tokenizer. @throws {ModelFormatError} If a file of it is damaged.
 */
export async function readDescription(
  base: Pick<BaseModel, "folder" | "config">,
  chatTemplate: string | null,
): Promise<OnnxDescription> {
  const { config, specialTokens, chatTemplate: own } = await readTokenizerFiles(base.folder);
  const template = chatTemplate ?? own;
  // transformers.js reads template and special tokens from nowhere else
  const tokenizer = {
    ...specialTokens,
    ...config,
    ...(template === null ? {} : { chat_template: template }),
  };
  return { base, tokenizer, generation: await generationConfig(base, template) };
}

/**
 * Writes the files, config.json last: a folder that holds it is whole.
 *
 * @param before As {@link readOwnConfig} gave it: the same folder may hold the model in several element types.
 */
export async function writeDescription(
  { base: { folder, config }, tokenizer, generation }: OnnxDescription,
  out: Folder,
  facts: OnnxFileFacts,
  before: TransformersJsConfig,
): Promise<void> {
  for (const name of await folder.list()) {
    if (COPIED.includes(name) || isLicence(name)) await copyFile(folder, out, name);
  }
  await writeJson(out, "tokenizer_config.json", tokenizer);
  await writeJson(out, GENERATION_CONFIG_FILE, generation);
  await writeJson(out, CONFIG_FILE, modelConfig(config, facts, before));
}

/** With every token that ends an answer, as `lowrank generate` knows them. */
async function generationConfig(
  { folder, config }: Pick<BaseModel, "folder" | "config">,
  chatTemplate: string | null,
): Promise<Record<string, unknown>> {
  const given = await folder.exists(GENERATION_CONFIG_FILE)
    ? await readObject(folder, GENERATION_CONFIG_FILE)
    : {};
  const tokenizer = await Tokenizer.load(folder);
  const template = chatTemplate === null ? null : new ChatTemplate(chatTemplate, tokenizer);
  const stops = [...await readStopTokens(folder, config, tokenizer, template)].sort((a, b) => a - b);
  const { bosTokenId, padTokenId } = config;
  return {
    ...(bosTokenId === null ? {} : { bos_token_id: bosTokenId }),
    ...(padTokenId === null ? {} : { pad_token_id: padTokenId }),
    ...given,
    ...(stops.length === 0 ? {} : { eos_token_id: stops.length === 1 ? stops[0] : stops }),
  };
}

/** The text model alone, with every size spelt out, and without what it was quantised by. */
function modelConfig(
  config: ModelConfig,
  { file, dataFiles, dtype }: OnnxFileFacts,
  before: TransformersJsConfig,
): Record<string, unknown> {
  const { quantization_config: _, text_config: text, vision_config: __, ...root } = config.raw;
  const { hiddenSize, numHiddenLayers, numAttentionHeads, numKeyValueHeads, headDim, vocabSize } = config;
  const sizes = {
    hidden_size: hiddenSize,
    num_hidden_layers: numHiddenLayers,
    num_attention_heads: numAttentionHeads,
    num_key_value_heads: numKeyValueHeads,
    head_dim: headDim,
    vocab_size: vocabSize,
  };
  const textOnly = text === undefined
    ? {}
    : { ...text as object, model_type: "gemma3_text", architectures: ["Gemma3ForCausalLM"] };
  return {
    ...root,
    ...textOnly,
    ...sizes,
    [OWN_CONFIG]: {
      ...before,
      dtype: before.dtype ?? dtype,
      kv_cache_dtype: { fp16: "float16" }, // transformers.js 3 does not look at the graph
      use_external_data_format: { ...before.use_external_data_format, [file]: dataFiles },
    },
  };
}

async function readObject(folder: ReadableFolder, name: string): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(await readText(folder, name));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new ModelFormatError(`Cannot read "${folder.uri}/${name}" as a JSON object: fetch it again`);
}

async function writeJson(folder: Folder, name: string, value: object): Promise<void> {
  await writeFile(folder, name, `${JSON.stringify(value, null, 2)}\n`);
}
