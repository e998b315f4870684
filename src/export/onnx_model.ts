/**
 * A model, merged with its adapter, as a folder that transformers.js and onnxruntime run:
 *
 *     config.json  generation_config.json  tokenizer.json  tokenizer_config.json
 *     onnx/model.onnx  or  onnx/model_fp16.onnx,  and  onnx/model.onnx_data  beside one that is large
 *
 *     W' = W + s·B·A     in f64, rounded to f32 and then to the type of the file
 *
 * Matrices are read, merged and written some rows at a time, so memory holds a few megabytes whatever the model's size.
 *
 * @module
 */
import { mergeRows } from "../checkpoint/merge.ts";
import { CONFIG_FILE } from "../models/config.ts";
import { encodeFloats } from "../quant/float16.ts";
import type { Folder } from "../storage.ts";
import { type LogitsOf, onnxDecoder } from "./onnx_decoder.ts";
import { readDescription, readOwnConfig, writeDescription } from "./onnx_description.ts";
import { ONNX_FILE_LIMITS, type OnnxFileLimits, writeOnnx } from "./onnx_files.ts";
import type { OnnxWeight } from "./onnx_layers.ts";
import type { ExportSource } from "./source.ts";

/** Element types of matrices and cache: transformers.js' word and file, and the largest magnitude that one holds. */
export const ONNX_TYPES = {
  F32: { dtype: "fp32", file: "model.onnx", type: "float32", most: 3.4028234e38 },
  F16: { dtype: "fp16", file: "model_fp16.onnx", type: "float16", most: 65_504 },
} as const;

/** One of {@link ONNX_TYPES}. */
export type OnnxModelType = keyof typeof ONNX_TYPES;

/** Folder of the model files. */
export const ONNX_FOLDER = "onnx";

/** What {@link exportOnnx} writes, and how. */
export interface OnnxModelOptions {
  readonly source: Pick<ExportSource, "base" | "updates" | "chatTemplate">;
  readonly type: OnnxModelType;
  /** Which tokens of a call get logits; default all. */
  readonly logits?: LogitsOf;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly bytes: number; readonly totalBytes: number }) => void;
  readonly limits?: OnnxFileLimits;
}

/** What was written. */
export interface OnnxExport {
  /** In the folder `onnx`, the model's first. */
  readonly files: readonly string[];
  readonly bytes: number;
  readonly nodes: number;
}

/** Values read at a time; 4 MiB of f32. */
const PIECE_VALUES = 2 ** 20;

/**
 * Writes the folder. One that holds the model in another element type keeps that.
 *
 * @throws {StorageNotFoundError} If the model has no tokenizer. @throws {ModelFormatError} If a file of it is damaged.
 * @throws {RangeError} If a value is not finite in the element type.
 * @throws {StorageDeniedError} @throws What `signal` was aborted with.
 */
export async function exportOnnx(
  out: Folder,
  { source, type, logits = "all", signal, onProgress, limits = ONNX_FILE_LIMITS }: OnnxModelOptions,
): Promise<OnnxExport> {
  const { base: { config, family, folder }, chatTemplate } = source,
    { file, dtype, type: productType } = ONNX_TYPES[type];
  const dataOf = (weight: OnnxWeight) => () => encodedRows(source, weight, type);
  const model = onnxDecoder({ config, family, type: productType, logits, dataOf });
  const description = await readDescription({ folder, config }, chatTemplate);
  const before = await readOwnConfig(out);
  await out.remove(CONFIG_FILE); // until everything is there again
  const { dataFiles, bytes } = await writeOnnx(out.folder(ONNX_FOLDER), file, model, limits, (done, all) => {
    signal?.throwIfAborted();
    onProgress?.({ bytes: done, totalBytes: all });
  });
  await writeDescription(description, out, { file, dtype, dataFiles: dataFiles.length }, before);
  return { files: [file, ...dataFiles], bytes, nodes: model.nodes.length };
}

/** A weight as the file is to hold it; norms and biases are f32 in each. */
async function* encodedRows(
  { base, updates }: OnnxModelOptions["source"],
  weight: OnnxWeight,
  wanted: OnnxModelType,
): AsyncGenerator<Uint8Array> {
  const { name, shape: [rows = 0, columns = 1], added } = weight;
  const type = weight.type === "float16" ? "F16" : "F32", { most } = ONNX_TYPES[type];
  const pieceRows = Math.max(1, Math.floor(PIECE_VALUES / columns));
  const update = updates.get(name), wideA = update && Float64Array.from(update.loraA);
  for (let first = 0; first < rows; first += pieceRows) {
    const values = await base.weights.readRowsF32(name, first, Math.min(pieceRows, rows - first));
    if (update) mergeRows(values, wideA!, update, first);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]! + added;
      if (!(Math.abs(value) <= most)) {
        const place = `row ${first + Math.floor(i / columns)}, column ${i % columns}`;
        const remedy = wanted === "F16" ? "take --type f32" : "the base or the adapter is damaged";
        throw new RangeError(
          `Cannot export "${name}" as ${wanted}: the value at ${place} is ${value}, and ${most} is the most; ${remedy}`,
        );
      }
      values[i] = value;
    }
    yield encodeFloats(type, values);
  }
}
