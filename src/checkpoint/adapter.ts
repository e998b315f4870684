/**
 * Adapter folders as PEFT writes and reads them: `adapter_config.json` and `adapter_model.safetensors`.
 *
 * @module
 */

import { ModelFormatError, StorageNotFoundError, UnsupportedModelError } from "../errors.ts";
import { type Folder, type ReadableFolder, readText, writeFile } from "../storage.ts";
import { type AdapterConfig, formatAdapterConfig, parseAdapterConfig } from "./adapter_config.ts";
import { encodeFloats } from "../quant/float16.ts";
import { SafetensorsFile, writeSafetensors } from "./safetensors.ts";
import { isSavedWhole, strengthOf } from "./target_modules.ts";

export type { AdapterConfig } from "./adapter_config.ts";

export const ADAPTER_CONFIG_FILE = "adapter_config.json";
export const ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors";

/** One tensor of an adapter; `data` is row-major. */
export interface AdapterTensor {
  /** [rows, cols]. */
  readonly shape: readonly number[];
  /** f32 values, row by row. */
  readonly data: Float32Array;
}

/** LoRA weights with what they mean. */
export interface Adapter {
  /** What adapter_config.json says. */
  readonly config: AdapterConfig;
  /**
   * By PEFT's full key, see {@link loraKey} and {@link wholeKey}. Each module with an update has both A [rank, in] and
   * B [out, rank], and for DoRA a magnitude [out].
   */
  readonly tensors: ReadonlyMap<string, AdapterTensor>;
}

/** The update of one linear map: W' = W + scaling·B·A, each row then of the length that a magnitude says. */
export interface LoraUpdate {
  /** A [rank, in]. */
  readonly loraA: Float32Array;
  /** B [out, rank]. */
  readonly loraB: Float32Array;
  /** Rank r of B·A. */
  readonly rank: number;
  /** s, the factor before B·A. */
  readonly scaling: number;
  /** [out], of DoRA. */
  readonly magnitude?: Float32Array;
}

/**
 * PEFT's key of a module's A, B or magnitude, such as `base_model.model.model.layers.0.mlp.up_proj.lora_A.weight`. That of
 * a magnitude ends without `.weight`.
 */
export function loraKey(modulePath: string, which: "A" | "B" | "magnitude"): string {
  const name = which === "magnitude" ? "lora_magnitude_vector" : `lora_${which}.weight`;
  return `base_model.model.${modulePath}.${name}`;
}

/** PEFT's key of a tensor that is trained itself, such as `base_model.model.lm_head.weight`. */
export function wholeKey(tensor: string): string {
  return `base_model.model.${tensor}`;
}

/**
 * PEFT's key of a trained bias, such as `base_model.model.model.layers.0.self_attn.q_proj.bias`; that of a map with an
 * update lies one deeper.
 */
export function biasKey(modulePath: string, hasUpdate: boolean): string {
  return wholeKey(`${modulePath}${hasUpdate ? ".base_layer" : ""}.bias`);
}

/**
 * The folder that an adapter is in: the given one or, as PEFT keeps adapters that have names, the only one in it that holds
 * an adapter.
 *
 * @throws {StorageNotFoundError} If several do.
 */
export async function findAdapter(folder: Folder): Promise<Folder> {
  if (await folder.exists(ADAPTER_CONFIG_FILE)) return folder;
  const named: string[] = [];
  for (const name of await folder.folders()) {
    if (await folder.folder(name).exists(ADAPTER_CONFIG_FILE)) named.push(name);
  }
  if (named.length < 2) return named.length === 0 ? folder : folder.folder(named[0]!);
  throw new StorageNotFoundError(
    `Cannot read an adapter in "${folder.uri}": it holds ${named.join(", ")}; name one of them, such as ` +
      `"${folder.uri}/${named[0]}"`,
  );
}

/**
 * Reads an adapter, widened to f32, as {@link findAdapter} finds it; a place that does not tell of folders must be its own.
 *
 * @throws {StorageNotFoundError} If a file is missing.
 * @throws {ModelFormatError} If a file is damaged, a shape does not fit the rank, one of A and B is missing, or
 * a value is not finite.
 * @throws {UnsupportedModelError} If the adapter uses a feature that is not implemented.
 */
export async function readAdapter(place: Folder | ReadableFolder): Promise<Adapter> {
  const folder = "folders" in place ? await findAdapter(place) : place;
  const uri = `${folder.uri}/${ADAPTER_CONFIG_FILE}`;
  const config = parseAdapterConfig(await readText(folder, ADAPTER_CONFIG_FILE), uri);
  const file = await openWeights(folder);
  try {
    const tensors = new Map<string, AdapterTensor>();
    for (const { name, shape } of file.infos.values()) {
      if (wholeName(name, config) === null) modulePathOf(name, file.uri);
      tensors.set(name, { shape, data: await file.readF32(name) });
    }
    const paths = [...tensors.keys()].filter(isA).map((key) => modulePathOf(key, file.uri));
    const adapter = { config: { ...config, targetModules: config.targetModules ?? paths }, tensors };
    checkTensors(adapter, (problem) => new ModelFormatError(`Cannot read "${file.uri}": ${problem}`));
    return adapter;
  } finally {
    await file.close();
  }
}

/**
 * Writes an adapter that PEFT loads. The weights come first: a folder with a config is a whole adapter.
 *
 * @throws {RangeError} If a shape does not fit the rank, one of A and B is missing, or a value is not finite.
 * Nothing is written then.
 * @throws {StorageDeniedError}
 */
export async function writeAdapter(folder: Folder, adapter: Adapter): Promise<void> {
  const { config, tensors } = adapter;
  const fail = (problem: string) => new RangeError(`Cannot save the adapter to "${folder.uri}": ${problem}`);
  checkTensors(adapter, fail);
  const text = formatAdapterConfig(config);
  await writeSafetensors(
    folder,
    ADAPTER_WEIGHTS_FILE,
    [...tensors].map(([name, { shape, data }]) => {
      return { name, dtype: "F32", shape, data: () => Promise.resolve(encodeFloats("F32", data)) };
    }),
  );
  await writeFile(folder, ADAPTER_CONFIG_FILE, text);
}

/**
 * The updates of an adapter by the name of the base tensor that they belong to, such as
 * `model.layers.0.mlp.up_proj.weight`. Arrays are shared with the adapter.
 */
export function loraUpdates({ config, tensors }: Adapter): Map<string, LoraUpdate> {
  const updates = new Map<string, LoraUpdate>();
  for (const [key, { data: loraA }] of tensors) {
    if (!isA(key)) continue;
    const path = modulePathOf(key, "adapter");
    const loraB = tensors.get(loraKey(path, "B"))!.data, { rank, scaling } = strengthOf(config, path);
    const magnitude = tensors.get(loraKey(path, "magnitude"))?.data;
    updates.set(`${path}.weight`, { loraA, loraB, rank, scaling, ...(magnitude && { magnitude }) });
  }
  return updates;
}

/** The tensors that the adapter holds whole, by their names in the base. */
export function wholeTensors({ config, tensors }: Adapter): Map<string, AdapterTensor> {
  const whole = new Map<string, AdapterTensor>();
  for (const [key, tensor] of tensors) {
    const name = wholeName(key, config);
    if (name !== null) whole.set(name, tensor);
  }
  return whole;
}

/** Name in the base of a tensor that is trained itself; null for another key. */
function wholeName(key: string, config: Pick<AdapterConfig, "modulesToSave" | "bias">): string | null {
  const [, name, path] = /^base_model\.model\.((.+)\.(?:weight|bias))$/.exec(key) ?? [];
  if (path === undefined) return null;
  if (isSavedWhole(config, path)) return name!;
  const { bias = "none" } = config, map = path.replace(/\.base_layer$/, ""), hasUpdate = map !== path;
  const isTrained = name!.endsWith(".bias") && (bias === "all" || (bias === "lora_only" && hasUpdate));
  return isTrained ? `${map}.bias` : null;
}

async function openWeights(folder: ReadableFolder): Promise<SafetensorsFile> {
  if (!await folder.exists(ADAPTER_WEIGHTS_FILE) && await folder.exists("adapter_model.bin")) {
    throw new StorageNotFoundError(
      `Cannot read the adapter of "${folder.uri}": it holds adapter_model.bin only; save it again with PEFT, ` +
        `which writes ${ADAPTER_WEIGHTS_FILE}`,
    );
  }
  return await SafetensorsFile.open(folder, ADAPTER_WEIGHTS_FILE);
}

const LORA_KEY = /^base_model\.model\.(.+)\.lora_(?:[AB]\.weight|magnitude_vector)$/;

function modulePathOf(key: string, uri: string): string {
  const path = LORA_KEY.exec(key)?.[1];
  if (path) return path;
  throw new UnsupportedModelError(
    `Cannot use the adapter of "${uri}": tensor "${key}" is not lora_A, lora_B or the magnitude of a linear map; ` +
      "merge the adapter with PEFT",
  );
}

function isA(key: string): boolean {
  return key.endsWith(".lora_A.weight");
}

type Fail = (problem: string) => Error;

function checkTensors({ config, tensors }: Adapter, fail: Fail): void {
  if (tensors.size === 0) throw fail("it holds no tensor");
  for (const [key, { shape, data }] of tensors) {
    if (wholeName(key, config) === null) checkShape({ config, tensors }, key, fail);
    const count = shape.reduce((product, size) => product * size, 1);
    if (data.length !== count) {
      throw fail(`tensor "${key}" is [${shape.join(", ")}] but has ${data.length} values`);
    }
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw fail(`tensor "${key}" holds ${data[bad]} at index ${bad}: the training diverged`);
  }
}

/** Checks that a tensor of an update fits its rank, and that the others of its map are there. */
function checkShape({ config, tensors }: Adapter, key: string, fail: Fail): void {
  const { useDora = false } = config, { shape } = tensors.get(key)!;
  const path = modulePathOf(key, "adapter"), found = `tensor "${key}" is [${shape.join(", ")}]`;
  const { rank } = strengthOf(config, path);
  for (const which of ["A", "B", ...(useDora ? ["magnitude"] as const : [])] as const) {
    const other = loraKey(path, which);
    if (!tensors.has(other)) throw fail(`tensor "${key}" is there, "${other}" is missing`);
  }
  if (key === loraKey(path, "magnitude")) {
    if (!useDora) throw fail(`tensor "${key}" is there, and use_dora is false`);
    const [out] = tensors.get(loraKey(path, "B"))!.shape;
    if (shape.join() !== String(out)) throw fail(`${found}, [${out}] is wanted beside its lora_B`);
  } else if (shape.length !== 2 || shape[isA(key) ? 0 : 1] !== rank) {
    throw fail(`${found}, ${isA(key) ? `[${rank}, in]` : `[out, ${rank}]`} is wanted for rank ${rank}`);
  }
}
