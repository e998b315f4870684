/**
 * Reading one GGUF file. Tensors are read one at a time, or in part; the file is never held whole.
 *
 * @module
 */
import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import { DECODABLE_TYPES, decodeBlocks } from "../quant/gguf_blocks.ts";
import type { FileReader, ReadableFolder } from "../storage.ts";
import type { GgufValue } from "./gguf_cursor.ts";
import { type GgufHeader, type GgufTensorInfo, MAX_HEADER_BYTES, parseGgufHeader } from "./gguf_header.ts";

export type { GgufNumbers, GgufValue } from "./gguf_cursor.ts";
export type { GgufTensorInfo } from "./gguf_header.ts";

/** Bytes read at first; as many again, four times over, while the header goes on. */
const FIRST_READ_BYTES = 2 ** 20;

/** An open GGUF file whose header was found true. */
export class GgufFile {
  /** Name for messages. */
  readonly uri: string;
  /** Metadata of the header by key, such as `general.architecture`. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By name, in the order of the header. */
  readonly infos: ReadonlyMap<string, GgufTensorInfo>;
  readonly #file: FileReader;

  private constructor(file: FileReader, { metadata, infos }: GgufHeader) {
    this.#file = file;
    this.uri = file.uri;
    this.metadata = metadata;
    this.infos = infos;
  }

  /**
   * Opens a file and checks its header against its size.
   *
   * @throws {StorageNotFoundError} If there is no such file.
   * @throws {ModelFormatError} If the header is damaged or contradicts the file.
   * @throws {UnsupportedModelError} If it is of another version or byte order.
   */
  static async open(folder: ReadableFolder, name: string): Promise<GgufFile> {
    const file = await folder.open(name);
    try {
      return new GgufFile(file, await readHeader(file));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** What is known of a tensor. @throws {ModelFormatError} If there is no such tensor. */
  info(name: string): GgufTensorInfo {
    const info = this.infos.get(name);
    if (info) return info;
    const sample = [...this.infos.keys()].slice(0, 3).map((known) => `"${known}"`).join(", ");
    throw new ModelFormatError(
      `Cannot read tensor "${name}" of "${this.uri}": it holds ${this.infos.size} tensors, none of that name` +
        (sample && ` (the first are ${sample})`),
    );
  }

  /**
   * `rowCount` rows of the first dimension as they lie in the file: whole blocks.
   *
   * @throws {ModelFormatError} If there is no such tensor.
   * @throws {RangeError} If there are not so many rows, or a row is no whole number of blocks.
   */
  async readRows(name: string, firstRow: number, rowCount: number): Promise<Uint8Array<ArrayBuffer>> {
    const info = this.info(name), { shape, type, byteLength, firstByte } = info;
    const rows = shape[0]!, rowBytes = byteLength / rows;
    if (firstRow < 0 || rowCount < 0 || firstRow + rowCount > rows) {
      throw new RangeError(
        `Cannot read rows ${firstRow} to ${firstRow + rowCount} of tensor "${name}" in "${this.uri}": ` +
          `its shape is [${shape.join(", ")}]`,
      );
    }
    if (rowBytes % type.blockBytes !== 0 && rowCount !== rows) {
      throw new RangeError(
        `Cannot read part of tensor "${name}" in "${this.uri}": a block of ${type.name} holds several of its rows`,
      );
    }
    return await this.#file.read(firstByte + firstRow * rowBytes, rowCount * rowBytes);
  }

  /**
   * Values of `rowCount` rows of the first dimension, dequantised.
   *
   * @throws {UnsupportedModelError} If the type cannot be decoded.
   * @throws As {@link GgufFile.readRows}.
   */
  async readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>> {
    const { type } = this.info(name);
    if (!DECODABLE_TYPES.includes(type.name)) {
      throw new UnsupportedModelError(
        `Cannot read tensor "${name}" of "${this.uri}" as numbers: its type is ${type.name}, ` +
          `${
            DECODABLE_TYPES.join(", ")
          } can be read; take a file of another quantisation, such as Q4_K_M or Q8_0`,
      );
    }
    return decodeBlocks(type, await this.readRows(name, firstRow, rowCount));
  }

  /** All values, row-major, dequantised. @throws As {@link GgufFile.readRowsF32}. */
  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return await this.readRowsF32(name, 0, this.info(name).shape[0]!);
  }

  /** Closes the file; nothing can be read from then on. */
  close(): Promise<void> {
    return this.#file.close();
  }
}

async function readHeader(file: FileReader): Promise<GgufHeader> {
  for (let bytes = FIRST_READ_BYTES;; bytes *= 4) {
    const prefix = await file.read(0, Math.min(bytes, file.size, MAX_HEADER_BYTES));
    const header = parseGgufHeader(prefix, file.size, file.uri);
    if (header) return header;
    if (prefix.length < MAX_HEADER_BYTES) continue;
    throw new ModelFormatError(
      `Cannot read "${file.uri}" as GGUF: its header does not end within ${MAX_HEADER_BYTES} bytes`,
    );
  }
}
