/**
 * What llama.cpp calls the families.
 *
 * @module
 */
import { UnsupportedModelError } from "../errors.ts";

/** `general.architecture` by `model_type`. Mistral is a Llama there; of a Gemma 3 with eyes, the text model is exported. */
const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ["llama", "llama"],
  ["mistral", "llama"],
  ["qwen2", "qwen2"],
  ["qwen3", "qwen3"],
  ["gemma2", "gemma2"],
  ["gemma3_text", "gemma3"],
  ["gemma3", "gemma3"],
  ["phi3", "phi3"],
]);

/** @throws {UnsupportedModelError} If a family cannot be exported as GGUF. */
export function ggufArchitecture(modelType: string): string {
  const found = ARCHITECTURES.get(modelType);
  if (found) return found;
  throw new UnsupportedModelError(
    `Cannot export a model of type "${modelType}" as GGUF: ${[...ARCHITECTURES.keys()].join(", ")} can be`,
  );
}
