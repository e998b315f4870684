/**
 * A model, merged with its adapter, as a folder that transformers.js and onnxruntime run:
 *
 *     config.json  generation_config.json  tokenizer.json  tokenizer_config.json
 *     onnx/model.onnx  or  onnx/model_fp16.onnx,  and  onnx/model.onnx_data  beside one that is large
 *
 * Matrices are read, merged and written some rows at a time, so memory holds a few megabytes whatever the model's size.
 *
 * @module
 */
import { CONFIG_FILE } from "../models/config.ts";
import type { Folder } from "../storage.ts";
import { type LogitsOf, onnxDecoder } from "./onnx_decoder.ts";
import { readDescription, readOwnConfig, writeDescription } from "./onnx_description.ts";
import { ONNX_FILE_LIMITS, type OnnxFileLimits, writeOnnx } from "./onnx_files.ts";
import type { OnnxWeight } from "./onnx_layers.ts";
import { OnnxWeightRows } from "./onnx_weights.ts";
import type { ExportSource } from "./source.ts";

/** An element type of matrices and cache. */
export type OnnxModelType = "F32" | "F16";

/** Each {@link OnnxModelType} by transformers.js' word, the name of the file, and ONNX' own word. */
export const ONNX_TYPES = {
  F32: { dtype: "fp32", file: "model.onnx", type: "float32" },
  F16: { dtype: "fp16", file: "model_fp16.onnx", type: "float16" },
} as const satisfies Readonly<Record<OnnxModelType, unknown>>;

/** Folder of the model files. */
export const ONNX_FOLDER = "onnx";

/** What {@link exportOnnx} writes, and how. */
export interface OnnxModelOptions {
  /** The model, merged with its adapter as it is written. */
  readonly source: Pick<ExportSource, "base" | "updates" | "chatTemplate">;
  /** Element type of matrices and cache. */
  readonly type: OnnxModelType;
  /** Which tokens of a call get logits; default all. */
  readonly logits?: LogitsOf;
  /** Stops the export between two pieces; a file that was not whole by then does not appear. */
  readonly signal?: AbortSignal;
  /** Told after each piece, in bytes of all files. */
  readonly onProgress?: (progress: { readonly bytes: number; readonly totalBytes: number }) => void;
  /** Where weights are parted into files; default what browsers and protobuf can hold. */
  readonly limits?: OnnxFileLimits;
}

/** What was written. */
export interface OnnxExport {
  /** In the folder `onnx`, the model's first. */
  readonly files: readonly string[];
  /** Size of all files. */
  readonly bytes: number;
  /** Nodes of the graph. */
  readonly nodes: number;
}

/**
 * Writes the folder, and reads the first and last rows of every weight back. One that holds the model in another element type keeps that.
 *
 * @throws {StorageNotFoundError} If the model has no tokenizer. @throws {ModelFormatError} If a file of it is damaged, or
 * one that was written does not read back.
 * @throws {RangeError} If a value is not finite in the element type.
 * @throws {StorageDeniedError} @throws What `signal` was aborted with.
 */
export async function exportOnnx(
  out: Folder,
  { source, type, logits = "all", signal, onProgress, limits = ONNX_FILE_LIMITS }: OnnxModelOptions,
): Promise<OnnxExport> {
  const { base: { config, family, folder }, chatTemplate } = source,
    { file, dtype, type: productType } = ONNX_TYPES[type];
  const weights = new Map<string, OnnxWeightRows>();
  const dataOf = (weight: OnnxWeight) => {
    const rows = new OnnxWeightRows(source, weight);
    weights.set(weight.name, rows);
    return () => rows.pieces();
  };
  const model = onnxDecoder({ config, family, type: productType, logits, dataOf });
  const description = await readDescription({ folder, config }, chatTemplate);
  const before = await readOwnConfig(out);
  await out.remove(CONFIG_FILE); // until everything is there again
  const inside = out.folder(ONNX_FOLDER);
  const { dataFiles, places, bytes } = await writeOnnx(inside, file, model, limits, (done, all) => {
    signal?.throwIfAborted();
    onProgress?.({ bytes: done, totalBytes: all });
  });
  for (const [name, rows] of weights) await rows.check(inside, places.get(name)!);
  await writeDescription(description, out, { file, dtype, dataFiles: dataFiles.length }, before);
  return { files: [file, ...dataFiles], bytes, nodes: model.nodes.length };
}
