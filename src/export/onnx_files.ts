/**
 * An ONNX model as files: all in one while it is small, else the weights in files of their own beside it, in the order of
 * the graph, `NAME_data`, `NAME_data_1` and so on as transformers.js counts them.
 *
 * @module
 */
import type { FileWriter, Folder } from "../storage.ts";
import {
  dataBytes,
  dataOf,
  encodeModel,
  type ExternalPlace,
  lengthOf,
  type OnnxModel,
  type OnnxTensor,
} from "./onnx_proto.ts";

/** When and where weights leave the model's file. */
export interface OnnxFileLimits {
  /** Weights of so many bytes stay in the model's file, which readers hold in memory twice. */
  readonly inlineBytes: number;
  /** A file of weights grows up to this; browsers cannot hold more in one piece. A larger tensor has one alone. */
  readonly dataFileBytes: number;
}

export const ONNX_FILE_LIMITS: OnnxFileLimits = { inlineBytes: 2 ** 28, dataFileBytes: 2 ** 31 - 2 ** 20 };

/** Tensors of fewer bytes stay: shapes must be known before the weights are there. */
const SMALL_BYTES = 1024;

/** Weights begin at whole pages, so that they can be mapped. */
const PAGE_BYTES = 4096;

/** A file beside the model's, with its tensors and where they begin. */
interface DataFile {
  readonly name: string;
  readonly tensors: { readonly tensor: OnnxTensor; readonly offset: number }[];
  bytes: number;
}

/** Where the data of a tensor lies now: a file of the folder, and its first byte there. */
export type WrittenPlace = ExternalPlace;

/** What was written. */
export interface WrittenOnnx {
  /** By the name of the tensor. */
  readonly places: ReadonlyMap<string, WrittenPlace>;
  /** Files beside the model's. */
  readonly dataFiles: readonly string[];
  /** All bytes. */
  readonly bytes: number;
}

/**
 * Writes a model, its data files first, each whole or not at all. Data files of an earlier model of that name that this one
 * has none in the place of are removed.
 *
 * @param onBytes Called with the bytes done and all, after each piece.
 */
export async function writeOnnx(
  folder: Folder,
  name: string,
  model: OnnxModel,
  limits: OnnxFileLimits = ONNX_FILE_LIMITS,
  onBytes: (done: number, all: number) => void = () => {},
): Promise<WrittenOnnx> {
  const files = dataFiles(name, model.tensors, limits);
  const places = new Map<OnnxTensor, ExternalPlace>(
    files.flatMap((file) =>
      file.tensors.map(({ tensor, offset }) => [tensor, { file: file.name, offset }] as const)
    ),
  );
  const parts = encodeModel(model, (tensor) => places.get(tensor) ?? null);
  const bytes = files.reduce((sum, { bytes }) => sum + bytes, lengthOf(parts));
  let done = 0;
  const counted = async (file: FileWriter, piece: Uint8Array) => {
    await file.write(piece);
    done += piece.length;
    onBytes(done, bytes);
  };
  for (const file of files) await writeWhole(folder, file.name, (to) => writeData(to, file, counted));
  const inFile = new Map<OnnxTensor, ExternalPlace>(), before = done;
  await writeWhole(folder, name, async (to) => {
    for (const part of parts) {
      if (part instanceof Uint8Array) await counted(to, part);
      else {
        inFile.set(part, { file: name, offset: done - before });
        for await (const piece of dataOf(part)) await counted(to, piece);
      }
    }
  });
  const written = files.map((file) => file.name);
  for (const old of await folder.list()) {
    if (old.startsWith(`${name}_data`) && !written.includes(old)) await folder.remove(old);
  }
  const all = [...places, ...inFile].map(([tensor, place]) => [tensor.name, place] as const);
  return { dataFiles: written, places: new Map(all), bytes };
}

function dataFiles(name: string, tensors: readonly OnnxTensor[], limits: OnnxFileLimits): DataFile[] {
  if (tensors.reduce((sum, tensor) => sum + dataBytes(tensor), 0) <= limits.inlineBytes) return [];
  const files: DataFile[] = [];
  for (const tensor of tensors) {
    const bytes = dataBytes(tensor);
    if (bytes < SMALL_BYTES) continue;
    let file = files.at(-1), offset = Math.ceil((file?.bytes ?? 0) / PAGE_BYTES) * PAGE_BYTES;
    if (!file || offset + bytes > limits.dataFileBytes) {
      file = { name: `${name}_data${files.length === 0 ? "" : `_${files.length}`}`, tensors: [], bytes: 0 };
      offset = 0;
      files.push(file);
    }
    file.tensors.push({ tensor, offset });
    file.bytes = offset + bytes;
  }
  return files;
}

async function writeData(
  to: FileWriter,
  { tensors }: DataFile,
  write: (file: FileWriter, bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let at = 0;
  for (const { tensor, offset } of tensors) {
    if (offset > at) await write(to, new Uint8Array(offset - at));
    for await (const piece of dataOf(tensor)) await write(to, piece);
    at = offset + dataBytes(tensor);
  }
}

async function writeWhole(
  folder: Folder,
  name: string,
  content: (file: FileWriter) => Promise<void>,
): Promise<void> {
  const file = await folder.create(name);
  try {
    await content(file);
    await file.commit();
  } finally {
    await file.abort();
  }
}
