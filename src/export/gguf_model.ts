/**
 * A model, merged with its adapter, as one GGUF file for llama.cpp and Ollama.
 *
 *     W' = W + s·B·A     in f64, rounded to f32 and then to the type of the file
 *
 * Matrices are read, merged and written some rows at a time, so memory holds a few megabytes whatever the model's size.
 *
 * @module
 */
import { GgufFile } from "../checkpoint/gguf.ts";
import { ggufName, type GgufTensorName } from "../checkpoint/gguf_names.ts";
import { GgufWeights } from "../checkpoint/gguf_weights.ts";
import { type GgufTensorToWrite, tensorBytes, writeGguf } from "../checkpoint/gguf_writer.ts";
import { mergeRows } from "../checkpoint/merge.ts";
import { readLicense } from "../checkpoint/model_card.ts";
import { ModelFormatError } from "../errors.ts";
import { weightShapes } from "../models/registry.ts";
import { decodeBlocks, encodeBlocks } from "../quant/gguf_blocks.ts";
import { ggufType } from "../quant/gguf_types.ts";
import type { Folder } from "../storage.ts";
import { ggufArchitecture } from "./gguf_architectures.ts";
import { fileMetadata, modelMetadata } from "./gguf_metadata.ts";
import { turnRows } from "./gguf_rows.ts";
import { type GgufVocabulary, ggufVocabulary } from "./gguf_vocabulary.ts";
import type { ExportSource } from "./source.ts";

/** An element type of matrices. */
export type GgufModelType = "F32" | "F16" | "BF16" | "Q8_0";

/** ggml's number for a file of each {@link GgufModelType}, and the largest magnitude that it holds. */
export const MODEL_TYPES: Readonly<
  Record<GgufModelType, { readonly fileType: number; readonly most: number }>
> = {
  F32: { fileType: 0, most: 3.4028234e38 },
  F16: { fileType: 1, most: 65_504 },
  BF16: { fileType: 32, most: 3.3895313e38 },
  Q8_0: { fileType: 7, most: 127 * 65_504 },
};

/** What {@link exportGguf} writes, and how. */
export interface GgufModelOptions {
  /** The model, merged with its adapter as it is written. */
  readonly source: Pick<ExportSource, "name" | "base" | "updates" | "chatTemplate">;
  /** Element type of matrices; vectors are F32. */
  readonly type: GgufModelType;
  /** Stops the export between two pieces; the file then does not appear. */
  readonly signal?: AbortSignal;
  /** Told after each piece, in bytes of the file. */
  readonly onProgress?: (progress: { readonly bytes: number; readonly totalBytes: number }) => void;
}

/** What was written. */
export interface GgufExport {
  /** Size of the file. */
  readonly bytes: number;
  /** Tensors in the file. */
  readonly tensors: number;
  /** The tokenizer as it was written. */
  readonly vocabulary: GgufVocabulary;
  /** Matrices that stayed in F16, as their rows are no whole number of blocks. */
  readonly unpacked: readonly string[];
  /** What a reader of the file should know, in words. */
  readonly warnings: readonly string[];
}

/** Values read at a time; 4 MiB of f32. */
const PIECE_VALUES = 2 ** 20;

/** A tensor of the model on its way into the file. */
interface Outgoing extends GgufTensorName {
  /** In the checkpoint. */
  readonly source: string;
  readonly shape: readonly number[];
  readonly type: GgufModelType;
}

/**
 * Writes the file, whole or not at all, and reads parts of every tensor back.
 *
 * @throws {StorageNotFoundError} If the model has no tokenizer.
 * @throws {UnsupportedModelError} If llama.cpp has no such model or tokenizer.
 * @throws {RangeError} If a value is not finite in the type.
 * @throws {ModelFormatError} If the file does not read back as it was written.
 * @throws {StorageDeniedError} @throws What `signal` was aborted with.
 */
export async function exportGguf(
  folder: Folder,
  file: string,
  options: GgufModelOptions,
): Promise<GgufExport> {
  const { source, type, signal, onProgress } = options,
    { base: { config, family, folder: described, uri } } = source;
  const architecture = ggufArchitecture(config.modelType), model = modelMetadata(config, uri);
  const vocabulary = await ggufVocabulary(described, config, source.chatTemplate);
  const outgoing = [...weightShapes(family, config)].map(([name, shape]) =>
    place(architecture, name, shape, type)
  );
  const licence = Object.fromEntries(
    Object.entries(await readLicense(described) ?? {}).map(([key, value]) => [key.replace("_", "."), value]),
  );
  const tensors = outgoing.map((tensor): GgufTensorToWrite => {
    return {
      name: tensor.name,
      type: tensor.type,
      shape: tensor.shape,
      data: () => encodedRows(source, tensor),
    };
  });
  const tables = [...model.tables].map(([name, values]): GgufTensorToWrite => {
    return { name, type: "F32", shape: [values.length], data: () => once(encodeBlocks("F32", values)) };
  });
  const all = [...tables, ...tensors], totalBytes = all.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  let bytes = 0;
  const counted = async function* (parts: AsyncIterable<Uint8Array>) {
    for await (const part of parts) {
      signal?.throwIfAborted();
      yield part;
      bytes += part.length;
      onProgress?.({ bytes, totalBytes });
    }
  };
  await writeGguf(folder, file, {
    metadata: new Map([
      ...fileMetadata(architecture, source.name, MODEL_TYPES[type].fileType, licence),
      ...model.entries,
      ...vocabulary.entries,
    ]),
    tensors: all.map((tensor) => ({ ...tensor, data: () => counted(tensor.data()) })),
  });
  await readBack(folder, file, source, outgoing);
  const unpacked = outgoing.filter((tensor) => tensor.shape.length > 1 && tensor.type !== type).map((
    { name },
  ) => name);
  return { bytes: totalBytes, tensors: all.length, vocabulary, unpacked, warnings: model.warnings };
}

/** Norms and biases stay in F32, as llama.cpp wants them. */
function place(
  architecture: string,
  source: string,
  shape: readonly number[],
  wanted: GgufModelType,
): Outgoing {
  const found = ggufName(architecture, source);
  if (!found) {
    throw new Error(
      `Cannot name tensor "${source}" in GGUF's ${architecture}: the family has no entry for it`,
    );
  }
  const packs = shape.at(-1)! % ggufType(wanted).blockValues === 0;
  const type = shape.length === 1 ? "F32" : packs ? wanted : "F16";
  return { ...found, source, shape, type };
}

async function* encodedRows(
  source: GgufModelOptions["source"],
  tensor: Outgoing,
): AsyncGenerator<Uint8Array> {
  const { shape, turned, type } = tensor, { headDim } = source.base.config;
  const columns = shape.length > 1 ? shape[1]! : 1, unit = turned === null ? 1 : headDim;
  const rows = Math.max(1, Math.floor(PIECE_VALUES / columns / unit)) * unit;
  for (let first = 0; first < shape[0]!; first += rows) {
    const values = await mergedRows(source, tensor, first, Math.min(rows, shape[0]! - first));
    const placed = turned === null ? values : turnRows(values, columns, headDim);
    yield encodeBlocks(type, placed);
  }
}

/** Values of some rows as the file is to hold them, in the order of the checkpoint, before they are encoded. */
async function mergedRows(
  { base, updates }: GgufModelOptions["source"],
  { source, added, type, shape }: Outgoing,
  first: number,
  count: number,
): Promise<Float32Array<ArrayBuffer>> {
  const values = await base.weights.readRowsF32(source, first, count), update = updates.get(source);
  if (update) mergeRows(values, Float64Array.from(update.loraA), update, first);
  const { most } = MODEL_TYPES[type];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]! + added;
    if (!(Math.abs(value) <= most)) {
      const columns = shape.length > 1 ? shape[1]! : 1;
      throw new RangeError(
        `Cannot export "${source}" as ${type}: the value at row ${first + Math.floor(i / columns)}, column ${
          i % columns
        } is ${value}, and ${most} is the most; take --type bf16 or f32`,
      );
    }
    values[i] = value;
  }
  return values;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Compares the first and the last rows of every tensor with the file. @throws {ModelFormatError} If one differs. */
async function readBack(
  folder: Folder,
  file: string,
  source: GgufModelOptions["source"],
  outgoing: readonly Outgoing[],
): Promise<void> {
  const opened = await GgufFile.open(folder, file);
  try {
    const written = new GgufWeights(opened);
    for (const tensor of outgoing) {
      const rows = tensor.shape[0]!, count = Math.min(rows, 4);
      for (const first of new Set([0, rows - count])) {
        const wanted = await mergedRows(source, tensor, first, count), type = ggufType(tensor.type);
        const rounded = decodeBlocks(type, encodeBlocks(tensor.type, wanted));
        const found = await written.readRowsF32(tensor.source.replace(/^language_model\./, ""), first, count);
        const same = found.every((value, i) => value === Math.fround(rounded[i]! - tensor.added));
        if (same && found.length === rounded.length) continue;
        throw new ModelFormatError(
          `"${folder.uri}/${file}" does not read back as it was written: tensor "${tensor.name}" differs`,
        );
      }
    }
  } finally {
    await opened.close();
  }
}
