/**
 * A GGUF file as the model folder that it was made from: config.json, the tokenizer's files and the weights.
 *
 * @module
 */
import type { ReadableFolder } from "../storage.ts";
import { GgufFile } from "./gguf.ts";
import { ggufConfig } from "./gguf_config.ts";
import { GgufFields } from "./gguf_fields.ts";
import { ggufTokenizer } from "./gguf_tokenizer.ts";
import { GgufWeights } from "./gguf_weights.ts";
import { MODEL_CARD_FILE } from "./model_card.ts";
import { TextFolder } from "./text_folder.ts";

/** An open GGUF model. */
export interface GgufModel {
  /** The files that describe the model, made from the metadata. */
  readonly folder: ReadableFolder;
  /** Its tensors under the names and in the order of a checkpoint. */
  readonly weights: GgufWeights;
}

/** Whether a name is one of a GGUF file. */
export function isGgufName(name: string): boolean {
  return /\.gguf$/i.test(name);
}

/**
 * Opens a file and reads its metadata.
 *
 * @throws {StorageNotFoundError} If there is no such file.
 * @throws {ModelFormatError} If it is damaged or lacks a part.
 * @throws {UnsupportedModelError} If its architecture, tokenizer or a tensor's type is not supported.
 */
export async function openGgufModel(folder: ReadableFolder, name: string): Promise<GgufModel> {
  const file = await GgufFile.open(folder, name);
  try {
    if (Number(file.metadata.get("split.count") ?? 1) > 1) throw new GgufFields(file).unsupported(...SPLIT);
    const config = await ggufConfig(file), { tokenizer, config: tokenizerConfig } = ggufTokenizer(file);
    const texts = new Map([
      ["config.json", `${JSON.stringify(config, null, 2)}\n`],
      ["tokenizer.json", JSON.stringify(tokenizer)],
      ["tokenizer_config.json", `${JSON.stringify(tokenizerConfig, null, 2)}\n`],
      [MODEL_CARD_FILE, licenceCard(file)],
    ]);
    return { folder: new TextFolder(file.uri, texts), weights: new GgufWeights(file) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A card that states the licence, in the front matter where model folders have it. */
function licenceCard({ metadata }: GgufFile): string {
  const lines = ["license", "license.name", "license.link"].flatMap((key) => {
    const value = metadata.get(`general.${key}`);
    return typeof value === "string" ? [`${key.replace(".", "_")}: ${JSON.stringify(value)}\n`] : [];
  });
  return `---\n${lines.join("")}---\n`;
}

const SPLIT = [
  "a model split into several files",
  "one file; join them with llama-gguf-split --merge",
] as const;
