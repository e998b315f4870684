/**
 * Which files of a repository or a bucket's folder a run needs: those that describe the model, and its weights in the one
 * form that is read. Others (pytorch_model.bin, ONNX, original/) stay where they are.
 *
 * @module
 */
import { ADAPTER_CONFIG_FILE } from "../checkpoint/adapter.ts";
import { DESCRIPTION_FILES, isLicence } from "../checkpoint/copied_files.ts";
import { isGgufName } from "../checkpoint/gguf_model.ts";
import { MODEL_CARD_FILE } from "../checkpoint/model_card.ts";
import { INDEX_FILE, SINGLE_FILE } from "../checkpoint/weight_files.ts";
import { StorageNotFoundError, UnsupportedModelError } from "../errors.ts";
import { CONFIG_FILE } from "../models/config.ts";

/** Files to have. */
export interface NeededFiles {
  /** Small ones, and the GGUF file where that is the model. */
  readonly names: readonly string[];
  /** Names the files of the weights, once it is read; null where `names` has them. */
  readonly index: string | null;
  /** The GGUF file that is the model; null where the folder is. */
  readonly gguf: string | null;
}

/**
 * Chooses.
 *
 * @param uri Name for messages.
 * @param all Names of the files that are there.
 * @param file The GGUF file that was asked for.
 * @throws {StorageNotFoundError} If that file is not there, or no model is.
 * @throws {UnsupportedModelError} If there are only weights of a form that is not read.
 */
export function neededFiles(
  uri: string,
  all: readonly string[],
  file: string | null,
  weights: boolean,
): NeededFiles {
  const has = (name: string) => all.includes(name);
  if (file !== null) {
    if (has(file)) return { names: [file], index: null, gguf: file };
    throw new StorageNotFoundError(
      `Cannot find "${file}" in "${uri}": ${listOf("GGUF files", all.filter(isGgufName))}`,
    );
  }
  const texts = all.filter((name) =>
    DESCRIPTION_FILES.includes(name) || name === MODEL_CARD_FILE || isLicence(name)
  );
  const ggufs = all.filter(isGgufName);
  if (!has(CONFIG_FILE) || (weights && !has(SINGLE_FILE) && !has(INDEX_FILE) && ggufs.length > 0)) {
    if (ggufs.length === 1) return { names: ggufs, index: null, gguf: ggufs[0]! };
    throw noModel(uri, all, ggufs);
  }
  if (!weights) return { names: texts, index: null, gguf: null };
  if (has(SINGLE_FILE)) return { names: [...texts, SINGLE_FILE], index: null, gguf: null };
  if (has(INDEX_FILE)) return { names: texts, index: INDEX_FILE, gguf: null };
  throw new UnsupportedModelError(
    `Cannot use the model at "${uri}": it has no ${SINGLE_FILE} and no ${INDEX_FILE} (found: ` +
      `${shown(all)}); convert its weights to safetensors, or take a repository that has them`,
  );
}

/** Names of the files that an index tells. What it contradicts is told when the weights are opened. */
export function shardsOf(index: string): string[] {
  let map: unknown;
  try {
    map = (JSON.parse(index) as { weight_map?: unknown } | null)?.weight_map;
  } catch {
    return [];
  }
  const names = Object.values(typeof map === "object" && map !== null ? map : {});
  return [...new Set(names)].filter((name) => typeof name === "string");
}

function noModel(uri: string, all: readonly string[], ggufs: readonly string[]): StorageNotFoundError {
  if (ggufs.length > 0) {
    const named = uri.replace(/^(?!\w+:\/\/)/, "hf://");
    return new StorageNotFoundError(
      `Cannot tell which model of "${uri}" is meant: ${listOf("GGUF files", ggufs)}; name one, such as ` +
        `"${named}/${ggufs[0]}"`,
    );
  }
  const adapter = all.includes(ADAPTER_CONFIG_FILE)
    ? "it holds an adapter: name the base model that it was trained on"
    : `it has no ${CONFIG_FILE} (found: ${shown(all)})`;
  return new StorageNotFoundError(`Cannot find a model in "${uri}": ${adapter}`);
}

function listOf(what: string, names: readonly string[]): string {
  return names.length === 0 ? `it has no ${what}` : `its ${what} are ${shown(names)}`;
}

function shown(names: readonly string[]): string {
  const more = names.length > 8 ? `, and ${names.length - 8} more` : "";
  return (names.slice(0, 8).join(", ") || "nothing") + more;
}
