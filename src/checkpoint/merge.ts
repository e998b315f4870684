/**
 * Merging an adapter into its base model: a folder that loads without LoRA.
 *
 *     V = W + s·B·A      W' = V, or for DoRA m / ‖V‖ · V of each row
 *
 * Tensors are streamed in pieces of some megabytes, so a model of any size can be merged.
 *
 * @module
 */

import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import { type ReadableFolder, readText, type WritableFolder, writeFile } from "../storage.ts";
import type { LoraUpdate } from "./adapter.ts";
import { copyFile, DESCRIPTION_FILES, isLicence } from "./copied_files.ts";
import { decodeFloats, encodeFloats, type FloatDtype, isFloatDtype } from "../quant/float16.ts";
import { type TensorInfo, type TensorToWrite, writeSafetensors } from "./safetensors.ts";
import { INDEX_FILE, type ModelWeights } from "./weight_files.ts";

/** How far a merge has come. */
export interface MergeProgress {
  /** Bytes written so far. */
  readonly bytes: number;
  /** Bytes that the merged weights will have. */
  readonly totalBytes: number;
}

/** What to merge, and where to. */
export interface MergeOptions {
  /** Weights to merge onto; they stay open. */
  readonly base: ModelWeights;
  /** The folder that `base` was opened from; config, tokenizer and licence are copied from it. */
  readonly baseFolder: ReadableFolder;
  /** Folder of the merged model. */
  readonly out: WritableFolder;
  /** By the name of the base tensor, [out, in], as `loraUpdates()` gives them. */
  readonly updates: ReadonlyMap<string, LoraUpdate>;
  /** Whether the head is no longer the embedding, which config.json then says. */
  readonly untied?: boolean;
  /** Told after each piece, in bytes of the weights. What it throws ends the merge. */
  readonly onProgress?: (progress: MergeProgress) => void;
}

/** Values merged at a time; 4 MiB of f32. */
const PIECE_VALUES = 2 ** 20;

/**
 * Writes the merged model: the base's tensors under their names and dtypes, split into files as the base is.
 * Sums are kept in f64, rounded to f32 and then, where the base holds 16 bits, to those. Everything else is
 * copied verbatim, but for what describes a quantisation: the merged tensors have none. config.json comes last, so a
 * folder that holds it is whole.
 *
 * @throws {ModelFormatError} If an update has no tensor in the base, or one of another shape.
 * @throws {UnsupportedModelError} If a tensor to update is not F32, F16 or BF16.
 * @throws {RangeError} If a merged value is not finite in the base's dtype.
 * @throws {StorageDeniedError} If `out` cannot be written to.
 */
export async function mergeModel(
  { base, baseFolder, out, updates, untied = false, onProgress }: MergeOptions,
): Promise<void> {
  checkUpdates(base, updates, baseFolder.uri);
  const totalBytes = [...base.infos.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  let bytes = 0;
  const counted = async function* (pieces: AsyncIterable<Uint8Array>) {
    for await (const piece of pieces) {
      yield piece;
      bytes += piece.length;
      onProgress?.({ bytes, totalBytes });
    }
  };
  for (const [file, infos] of base.files) {
    const tensors = infos.map((info): TensorToWrite => {
      const update = updates.get(info.name);
      const pieces = () => update ? mergedPieces(base, info, update) : rawPieces(base, info);
      return { name: info.name, dtype: info.dtype, shape: info.shape, data: () => counted(pieces()) };
    });
    await writeSafetensors(out, file, tensors);
  }
  await copyDescription(baseFolder, out, base, untied);
}

/**
 * Checks that updates belong to a model.
 *
 * @param uri Name of the model for messages.
 * @throws {ModelFormatError} If an update has no tensor in the base, or one of another shape.
 * @throws {UnsupportedModelError} If a tensor to update is not F32, F16 or BF16.
 */
export function checkUpdates(
  { infos }: Pick<ModelWeights, "infos">,
  updates: ReadonlyMap<string, LoraUpdate>,
  uri: string,
): void {
  for (const [name, update] of updates) checkUpdate(infos.get(name), name, update, uri);
}

/**
 * The values that {@link mergeModel} would write, without writing them: what the merged model computes with.
 *
 * @param updates As {@link MergeOptions.updates}, for tensors that the base has.
 */
export function mergedValues(
  base: ModelWeights,
  updates: ReadonlyMap<string, LoraUpdate>,
): Pick<ModelWeights, "readF32" | "readRowsF32"> {
  const readRowsF32 = async (name: string, firstRow: number, rowCount: number) => {
    const update = updates.get(name), { dtype } = base.infos.get(name)!;
    const values = await base.readRowsF32(name, firstRow, rowCount);
    if (!update || !isFloatDtype(dtype)) return values;
    mergeRows(values, Float64Array.from(update.loraA), update, firstRow);
    return decodeFloats(dtype, encodeFloats(dtype, values));
  };
  const readF32 = (name: string) =>
    updates.has(name) ? readRowsF32(name, 0, base.infos.get(name)!.shape[0]!) : base.readF32(name);
  return { readF32, readRowsF32 };
}

/**
 * Adds scaling·B·A to rows of a weight matrix, in place, then gives them the lengths that are wanted.
 *
 * @param weights W [rows, in].
 * @param loraA A [rank, in].
 * @param loraB B [rows, rank], the rows of B that belong to these rows of W.
 * @param magnitude [rows], of DoRA: the norms of the merged rows.
 */
export function addLowRank(
  weights: Float32Array,
  loraA: Float64Array,
  loraB: Float32Array,
  rank: number,
  scaling: number,
  magnitude?: Float32Array,
): void {
  const columns = loraA.length / rank;
  const sums = new Float64Array(columns);
  for (let row = 0; row * columns < weights.length; row++) {
    const values = weights.subarray(row * columns, (row + 1) * columns);
    sums.set(values);
    const factor = (k: number) => k < rank ? scaling * loraB[row * rank + k]! : 0;
    // Four rows of A at a time: the sum is loaded and stored a quarter as often.
    for (let k = 0; k < rank; k += 4) {
      addRows(sums, loraA, k * columns, [factor(k), factor(k + 1), factor(k + 2), factor(k + 3)]);
    }
    if (magnitude) lengthen(sums, magnitude[row]!);
    values.set(sums);
  }
}

/** Makes a row as long as its magnitude says; one of zeros has no direction and stays. */
function lengthen(row: Float64Array, magnitude: number): void {
  const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
  if (norm === 0) return;
  for (let i = 0; i < row.length; i++) row[i]! *= magnitude / norm;
}

/** Merges an update into some rows of its weight, in place. `wideA` is its A, widened once for all of them. */
export function mergeRows(
  weights: Float32Array,
  wideA: Float64Array,
  { loraB, rank, scaling, magnitude }: LoraUpdate,
  firstRow: number,
): void {
  const end = firstRow + weights.length / (wideA.length / rank);
  const rowsOfB = loraB.subarray(firstRow * rank, end * rank);
  addLowRank(weights, wideA, rowsOfB, rank, scaling, magnitude?.subarray(firstRow, end));
}

/** sums_i += Σ_j factors_j·A_(first row + j, i). Rows beyond the last of A have factor 0. */
function addRows(
  sums: Float64Array,
  loraA: Float64Array,
  start: number,
  [f0, f1, f2, f3]: readonly [number, number, number, number],
): void {
  const columns = sums.length;
  const last = loraA.length - columns;
  const a0 = start;
  const a1 = Math.min(a0 + columns, last),
    a2 = Math.min(a1 + columns, last),
    a3 = Math.min(a2 + columns, last);
  for (let i = 0; i < columns; i++) {
    sums[i]! += f0 * loraA[a0 + i]! + f1 * loraA[a1 + i]! + f2 * loraA[a2 + i]! + f3 * loraA[a3 + i]!;
  }
}

async function* mergedPieces(
  base: ModelWeights,
  { name, dtype, shape }: TensorInfo,
  update: LoraUpdate,
): AsyncGenerator<Uint8Array> {
  if (!isFloatDtype(dtype)) throw notFloat(name, dtype);
  const [rows = 0, columns = 0] = shape;
  const wideA = Float64Array.from(update.loraA);
  const pieceRows = Math.max(1, Math.floor(PIECE_VALUES / columns));
  for (let row = 0; row < rows; row += pieceRows) {
    const count = Math.min(pieceRows, rows - row);
    const weights = await base.readRowsF32(name, row, count);
    mergeRows(weights, wideA, update, row);
    const bytes = encodeFloats(dtype, weights);
    const bad = firstNonFinite(dtype, bytes);
    if (bad >= 0) {
      throw new RangeError(
        `Cannot merge into "${name}": the value at row ${row + Math.floor(bad / columns)}, column ${
          bad % columns
        } ` +
          `becomes ${
            weights[bad]
          }, which is not a finite ${dtype}; the adapter or the base is damaged or overflows`,
      );
    }
    yield bytes;
  }
}

/** Index of the first value whose exponent bits are all ones, or -1. */
function firstNonFinite(dtype: FloatDtype, bytes: Uint8Array<ArrayBuffer>): number {
  const units = dtype === "F32" ? new Uint32Array(bytes.buffer) : new Uint16Array(bytes.buffer);
  const exponent = dtype === "F32" ? 0x7f800000 : dtype === "F16" ? 0x7c00 : 0x7f80;
  for (let i = 0; i < units.length; i++) if ((units[i]! & exponent) === exponent) return i;
  return -1;
}

async function* rawPieces(base: ModelWeights, { name, byteLength }: TensorInfo): AsyncGenerator<Uint8Array> {
  const pieceBytes = PIECE_VALUES * 4;
  for (let first = 0; first < byteLength; first += pieceBytes) {
    yield await base.readRaw(name, first, Math.min(pieceBytes, byteLength - first));
  }
}

function checkUpdate(info: TensorInfo | undefined, name: string, update: LoraUpdate, uri: string): void {
  const fail = (problem: string) =>
    new ModelFormatError(`Cannot merge the adapter into "${uri}": ${problem}`);
  if (!info) throw fail(`the base has no tensor "${name}"; it was trained on another model`);
  if (!isFloatDtype(info.dtype)) throw notFloat(name, info.dtype);
  const { loraA, loraB, rank } = update;
  const found = [loraB.length / rank, loraA.length / rank];
  if (info.shape.length === 2 && info.shape[0] === found[0] && info.shape[1] === found[1]) return;
  throw fail(`"${name}" is [${info.shape.join(", ")}], the update is for [${found.join(", ")}]`);
}

function notFloat(name: string, dtype: string): UnsupportedModelError {
  return new UnsupportedModelError(
    `Cannot merge into "${name}" as its dtype is ${dtype}: F32, F16 or BF16 is wanted; ` +
      "merge into the unquantised base",
  );
}

async function copyDescription(
  from: ReadableFolder,
  to: WritableFolder,
  base: ModelWeights,
  untied: boolean,
): Promise<void> {
  const split = base.files.size > 1;
  const found = await from.list();
  const names = found.filter((name) =>
    DESCRIPTION_FILES.includes(name) || isLicence(name) || split && name === INDEX_FILE
  );
  for (const name of names.sort((a, b) => Number(a === "config.json") - Number(b === "config.json"))) {
    const changed = await changedDescription(from, name, base, untied);
    if (changed) await writeFile(to, name, `${JSON.stringify(changed, null, 2)}\n`);
    else await copyFile(from, to, name);
  }
}

/** A file without what it tells of quantised or tied tensors; null for one that stays as it is. */
async function changedDescription(
  folder: ReadableFolder,
  name: string,
  { files, infos }: ModelWeights,
  untied: boolean,
): Promise<Record<string, unknown> | null> {
  if (name === "config.json") {
    const { quantization_config, ...config } = JSON.parse(await readText(folder, name));
    if (quantization_config === undefined && !untied) return null;
    if (!untied) return config;
    const { text_config: text } = config, tie_word_embeddings = false;
    return {
      ...config,
      tie_word_embeddings,
      ...(text ? { text_config: { ...text, tie_word_embeddings } } : {}),
    };
  }
  if (name !== INDEX_FILE) return null;
  const { weight_map } = JSON.parse(await readText(folder, name)) as { weight_map: Record<string, string> };
  const listed = Object.keys(weight_map);
  if (listed.length === infos.size && listed.every((tensor) => infos.has(tensor))) return null;
  const fileOf = [...files].flatMap(([file, held]) => held.map((info) => [info.name, file] as const));
  const bytes = [...infos.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { metadata: { total_size: bytes }, weight_map: Object.fromEntries(fileOf) };
}
