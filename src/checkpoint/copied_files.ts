/**
 * Files of a model folder that go with the model wherever it goes.
 *
 * @module
 */
import { type ReadableFolder, type WritableFolder, writeFile } from "../storage.ts";

/** Files that describe the model rather than hold its weights. */
export const DESCRIPTION_FILES: readonly string[] = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
  "preprocessor_config.json",
  "processor_config.json",
];

const LICENCE = /^(licen[cs]e|notice|use_policy)/i;

/** Whether a file states what one may do with the model. */
export function isLicence(name: string): boolean {
  return LICENCE.test(name);
}

/** Copies a file of a few megabytes. */
export async function copyFile(from: ReadableFolder, to: WritableFolder, name: string): Promise<void> {
  const file = await from.open(name);
  try {
    await writeFile(to, name, await file.read(0, file.size));
  } finally {
    await file.close();
  }
}
