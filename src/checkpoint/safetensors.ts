/**
 * Reading and writing one safetensors file. Tensors are read one at a time, or in part; the file is never
 * held whole.
 *
 * @module
 */

import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import type { FileReader, FileWriter, ReadableFolder, WritableFolder } from "../storage.ts";
import { decodeFloats, FLOAT_BYTES, type FloatDtype, isFloatDtype } from "../quant/float16.ts";
import {
  compareTensors,
  formatHeader,
  LENGTH_BYTES,
  MAX_HEADER_BYTES,
  parseHeader,
  type SafetensorsHeader,
  tensorBytes,
  type TensorInfo,
} from "./safetensors_header.ts";

export type { TensorInfo } from "./safetensors_header.ts";

/** The one metadata entry that transformers and PEFT write and ask for. */
export const PYTORCH_METADATA: ReadonlyMap<string, string> = new Map([["format", "pt"]]);

/** Tensors that can be looked up and read by name. */
export interface TensorSource {
  /** Every tensor by name, in the order of the file. */
  readonly infos: ReadonlyMap<string, TensorInfo>;
  /**
   * Bytes [firstByte, firstByte + byteLength) of a tensor; by default all.
   *
   * @throws {ModelFormatError} If there is no such tensor.
   * @throws {RangeError} If the range reaches beyond the tensor.
   */
  readRaw(name: string, firstByte?: number, byteLength?: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * All values, row-major, widened to f32.
   *
   * @throws {ModelFormatError} If there is no such tensor.
   * @throws {UnsupportedModelError} If its dtype is not F32, F16 or BF16.
   */
  readF32(name: string): Promise<Float32Array<ArrayBuffer>>;
  /**
   * Values of `rowCount` rows of the first dimension, widened to f32.
   *
   * @throws {RangeError} If there are not so many rows.
   * @throws As `readF32`.
   */
  readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>>;
  /** Closes what is open; nothing can be read from then on. */
  close(): Promise<void>;
}

/** An open safetensors file whose header was found true. */
export class SafetensorsFile implements TensorSource {
  /** Name for messages. */
  readonly uri: string;
  /** By name, in the order of the data. */
  readonly infos: ReadonlyMap<string, TensorInfo>;
  /** The header's `__metadata__`, text by text. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly #file: FileReader;
  readonly #firstByte: ReadonlyMap<string, number>;

  private constructor(file: FileReader, header: SafetensorsHeader, dataStart: number) {
    this.#file = file;
    this.uri = file.uri;
    this.metadata = header.metadata;
    this.infos = new Map(header.entries.map(({ info }) => [info.name, info]));
    this.#firstByte = new Map(header.entries.map(({ info, begin }) => [info.name, dataStart + begin]));
  }

  /**
   * Opens a file and checks its header against its size.
   *
   * @throws {StorageNotFoundError} If there is no such file.
   * @throws {ModelFormatError} If the header is damaged or contradicts the file.
   */
  static async open(folder: ReadableFolder, name: string): Promise<SafetensorsFile> {
    const file = await folder.open(name);
    try {
      const headerBytes = await readHeaderLength(file);
      const dataStart = LENGTH_BYTES + headerBytes;
      const json = await file.read(LENGTH_BYTES, headerBytes);
      return new SafetensorsFile(file, parseHeader(json, file.size - dataStart, file.uri), dataStart);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async readRaw(name: string, firstByte = 0, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    const info = this.#info(name);
    const length = byteLength ?? info.byteLength - firstByte;
    if (firstByte < 0 || length < 0 || firstByte + length > info.byteLength) {
      throw new RangeError(
        `Cannot read bytes ${firstByte} to ${firstByte + length} of tensor "${name}" in "${this.uri}": ` +
          `it has ${info.byteLength}`,
      );
    }
    return await this.#file.read(this.#firstByte.get(name)! + firstByte, length);
  }

  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const dtype = this.#floatDtype(name);
    return decodeFloats(dtype, await this.readRaw(name));
  }

  async readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>> {
    const dtype = this.#floatDtype(name);
    const { shape } = this.#info(name);
    const rows = shape[0] ?? 1;
    if (firstRow < 0 || rowCount < 0 || firstRow + rowCount > rows) {
      throw new RangeError(
        `Cannot read rows ${firstRow} to ${firstRow + rowCount} of tensor "${name}" in "${this.uri}": ` +
          `its shape is [${shape.join(", ")}]`,
      );
    }
    const rowBytes = shape.slice(1).reduce((product, size) => product * size, FLOAT_BYTES[dtype]);
    return decodeFloats(dtype, await this.readRaw(name, firstRow * rowBytes, rowCount * rowBytes));
  }

  /** Closes the file; nothing can be read from then on. */
  close(): Promise<void> {
    return this.#file.close();
  }

  #info(name: string): TensorInfo {
    const info = this.infos.get(name);
    if (info) return info;
    const sample = [...this.infos.keys()].slice(0, 3).map((known) => `"${known}"`).join(", ");
    throw new ModelFormatError(
      `Cannot read tensor "${name}" of "${this.uri}": it holds ${this.infos.size} tensors, none of that name` +
        (sample && ` (the first are ${sample})`),
    );
  }

  #floatDtype(name: string): FloatDtype {
    const { dtype } = this.#info(name);
    if (isFloatDtype(dtype)) return dtype;
    throw new UnsupportedModelError(
      `Cannot read tensor "${name}" of "${this.uri}" as numbers: its dtype is ${dtype}, ` +
        `${Object.keys(FLOAT_BYTES).join(", ")} can be read`,
    );
  }
}

async function readHeaderLength(file: FileReader): Promise<number> {
  const fail = (problem: string) =>
    new ModelFormatError(`Cannot read "${file.uri}" as safetensors: ${problem}`);
  if (file.size < LENGTH_BYTES) {
    throw fail(`it has ${file.size} bytes, the header's length alone takes ${LENGTH_BYTES}: fetch it again`);
  }
  const field = await file.read(0, LENGTH_BYTES);
  const length = new DataView(field.buffer, field.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw fail(
      `its first 8 bytes announce a header of ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed`,
    );
  }
  if (LENGTH_BYTES + Number(length) > file.size) {
    throw fail(
      `its header should have ${length} bytes, the file has ${file.size}: it is cut short, fetch it again`,
    );
  }
  return Number(length);
}

/** Bytes at hand, or a function that fetches them (whole or in parts) when their turn comes. */
export type TensorData = Uint8Array | (() => Promise<Uint8Array> | AsyncIterable<Uint8Array>);

/** A tensor to be written; `data` is little-endian and row-major. */
export interface TensorToWrite {
  /** Name in the file, such as `model.norm.weight`. */
  readonly name: string;
  /** As safetensors spells it; {@link FloatDtype} for numbers that can be read as f32 again. */
  readonly dtype: string;
  /** Sizes, the slowest first; empty for a single value. */
  readonly shape: readonly number[];
  /** Little-endian bytes of the dtype, or what gives them piece by piece. */
  readonly data: TensorData;
}

/**
 * Writes a safetensors file, equal byte for byte to what Python's safetensors writes for the same tensors.
 * Data is asked for in file order (wider dtypes first, then by name) and passed on as it comes.
 *
 * @param metadata Default `{"format":"pt"}`.
 * @throws {TypeError} If two tensors share a name, or a dtype is none of the format's.
 * @throws {RangeError} If a tensor's data is not as long as dtype and shape demand. No file is left then.
 * @throws {StorageDeniedError}
 */
export async function writeSafetensors(
  folder: WritableFolder,
  name: string,
  tensors: Iterable<TensorToWrite>,
  metadata: ReadonlyMap<string, string> = PYTORCH_METADATA,
): Promise<void> {
  const ordered = [...tensors].sort(compareTensors);
  const infos = ordered.map(({ name, dtype, shape }): TensorInfo => {
    return {
      name,
      dtype,
      shape,
      byteLength: tensorBytes(dtype, shape),
    };
  });
  const names = new Set<string>();
  for (const { name: tensor } of infos) {
    if (names.has(tensor)) {
      throw new TypeError(`Cannot write "${folder.uri}/${name}": two tensors are "${tensor}"`);
    }
    names.add(tensor);
  }
  const file = await folder.create(name);
  try {
    await file.write(formatHeader(infos, metadata));
    for (const [i, { data }] of ordered.entries()) await writeData(file, data, infos[i]!);
    await file.commit();
  } finally {
    await file.abort();
  }
}

async function writeData(file: FileWriter, data: TensorData, info: TensorInfo): Promise<void> {
  let bytes = 0;
  for await (const part of parts(data)) {
    bytes += part.length;
    if (bytes > info.byteLength) break;
    await file.write(part);
  }
  if (bytes === info.byteLength) return;
  throw new RangeError(
    `Cannot write tensor "${info.name}": ${bytes > info.byteLength ? "more than" : "only"} ` +
      `${Math.min(bytes, info.byteLength)} bytes came, ${info.dtype} [${
        info.shape.join(", ")
      }] takes ${info.byteLength}`,
  );
}

async function* parts(data: TensorData): AsyncGenerator<Uint8Array> {
  if (data instanceof Uint8Array) return yield data;
  const fetched = data();
  if (fetched instanceof Promise) yield await fetched;
  else yield* fetched;
}
