/**
 * The weights of a GGUF model under the names, shapes, row orders and values of its Hugging Face checkpoint.
 *
 * @module
 */
import { BF16, F16, GGUF_FORMATS, type GroupedFormat, wordsOf } from "../../kernels/packed/kernel.ts";
import { ModelFormatError, UnsupportedModelError } from "../errors.ts";
import { encodeFloats, FLOAT_BYTES, type FloatDtype, isFloatDtype } from "../quant/float16.ts";
import { DECODABLE_TYPES, decodeBlocks } from "../quant/gguf_blocks.ts";
import type { GgufType } from "../quant/gguf_types.ts";
import type { GgufFile } from "./gguf.ts";
import { GgufFields } from "./gguf_fields.ts";
import { checkpointName, type GgufTensorName, turnedRow } from "./gguf_names.ts";
import type { TensorInfo } from "./safetensors.ts";
import { type ModelWeights, SINGLE_FILE } from "./weight_files.ts";

/** A tensor and where it comes from. */
interface MappedTensor extends GgufTensorName {
  readonly source: string;
  readonly type: GgufType;
  /** Rows of a head, where rows are turned within heads. */
  readonly headDim: number | null;
}

/** Types that products read packed. */
const PACKED_FORMATS: ReadonlyMap<string, GroupedFormat> = new Map([
  ...GGUF_FORMATS,
  ["F16", F16],
  ["BF16", BF16],
]);

/** The tensors of a GGUF file as those of a checkpoint: its names, its order of rows. */
export class GgufWeights implements ModelWeights {
  /**
   * By name, in the order of the file. Dtypes are those that values are read as: F16 and BF16 where the file has them, else
   * F32, to which every block format is decoded exactly.
   */
  readonly infos: ReadonlyMap<string, TensorInfo>;
  readonly #file: GgufFile;
  readonly #mapped: ReadonlyMap<string, MappedTensor>;

  /**
   * Finds the tensor of each name; reads no values.
   *
   * @throws {UnsupportedModelError} If a tensor is none of the architecture's, or of a type that cannot be decoded.
   * @throws {ModelFormatError} If the metadata lacks the numbers of heads, or they do not divide the rows.
   */
  constructor(file: GgufFile) {
    this.#file = file;
    this.#mapped = mapTensors(file);
    this.infos = new Map([...this.#mapped].map(([name, { source, type }]): [string, TensorInfo] => {
      const { shape } = file.info(source), dtype = isFloatDtype(type.name) ? type.name : "F32";
      return [name, { name, dtype, shape, byteLength: shape.reduce((a, b) => a * b) * FLOAT_BYTES[dtype] }];
    }));
  }

  /** All tensors, under the file that a checkpoint has them in. */
  get files(): ReadonlyMap<string, readonly TensorInfo[]> {
    return new Map([[SINGLE_FILE, [...this.infos.values()]]]);
  }

  /** How the file packs a tensor. */
  typeOf(name: string): GgufType {
    return this.#tensor(name).type;
  }

  /**
   * Rows as the file packs them, in the order of the checkpoint: whole blocks of {@link GgufWeights.typeOf}.
   *
   * @throws {ModelFormatError} If there is no such tensor. @throws {RangeError} If there are not so many rows.
   */
  async readRows(name: string, firstRow: number, rowCount: number): Promise<Uint8Array<ArrayBuffer>> {
    const { source, headDim } = this.#tensor(name);
    if (headDim === null) return await this.#file.readRows(source, firstRow, rowCount);
    const firstHead = Math.floor(firstRow / headDim), lastHead = Math.ceil((firstRow + rowCount) / headDim);
    const start = firstHead * headDim;
    const heads = await this.#file.readRows(source, start, lastHead * headDim - start);
    const rowBytes = heads.length / (lastHead * headDim - start);
    const rows = new Uint8Array(rowCount * rowBytes);
    for (let i = 0; i < rowCount; i++) {
      const from = (turnedRow(firstRow + i, headDim) - start) * rowBytes;
      rows.set(heads.subarray(from, from + rowBytes), i * rowBytes);
    }
    return rows;
  }

  /** How a matrix stays on the GPU: as the file packs it, where its values are not changed on the way. */
  formatOf(name: string): GroupedFormat | null {
    const { type, added } = this.#tensor(name);
    return added === 0 ? PACKED_FORMATS.get(type.name) ?? null : null;
  }

  /** Rows of {@link GgufWeights.formatOf}, as words. */
  async readWords(name: string, firstRow: number, rowCount: number): Promise<Uint32Array<ArrayBuffer>> {
    return wordsOf(await this.readRows(name, firstRow, rowCount));
  }

  async readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>> {
    const { type, added } = this.#tensor(name);
    const values = decodeBlocks(type, await this.readRows(name, firstRow, rowCount));
    if (added !== 0) { for (let i = 0; i < values.length; i++) values[i]! -= added; }
    return values;
  }

  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    return await this.readRowsF32(name, 0, this.#file.info(this.#tensor(name).source).shape[0]!);
  }

  async readRaw(name: string, firstByte = 0, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#tensor(name);
    const { dtype, shape, byteLength: allBytes } = this.infos.get(name)!;
    const length = byteLength ?? allBytes - firstByte;
    if (firstByte < 0 || length < 0 || firstByte + length > allBytes) {
      throw new RangeError(
        `Cannot read bytes ${firstByte} to ${
          firstByte + length
        } of tensor "${name}" in "${this.#file.uri}": ` +
          `it has ${allBytes}`,
      );
    }
    const rowBytes = allBytes / shape[0]!, firstRow = Math.floor(firstByte / rowBytes);
    const rows = await this.readRowsF32(
      name,
      firstRow,
      Math.ceil((firstByte + length) / rowBytes) - firstRow,
    );
    const start = firstByte - firstRow * rowBytes;
    return encodeFloats(dtype as FloatDtype, rows).slice(start, start + length);
  }

  /** Closes the file. */
  close(): Promise<void> {
    return this.#file.close();
  }

  #tensor(name: string): MappedTensor {
    const tensor = this.#mapped.get(name);
    if (tensor) return tensor;
    throw new ModelFormatError(
      `Cannot read tensor "${name}" of "${this.#file.uri}": it holds ${this.#mapped.size} tensors, none of that name`,
    );
  }
}

function mapTensors(file: GgufFile): Map<string, MappedTensor> {
  const fields = new GgufFields(file), { architecture } = fields;
  const heads = fields.count("attention.head_count"),
    keyHeads = fields.count("attention.head_count_kv", heads);
  const mapped = new Map<string, MappedTensor>();
  for (const { name: source, type, shape } of file.infos.values()) {
    const found = checkpointName(architecture, source);
    if (found === null) continue;
    if (!found) throw fields.unsupported(`tensor "${source}"`, "the tensors of a dense decoder");
    if (!DECODABLE_TYPES.includes(type.name)) throw undecodable(file.uri, source, type);
    const turnedIn = found.turned === "queries" ? heads : keyHeads;
    const headDim = found.turned === null ? null : shape[0]! / turnedIn;
    if (headDim !== null && !(headDim % 2 === 0)) {
      throw new ModelFormatError(
        `Cannot read "${file.uri}": tensor "${source}" has ${
          shape[0]
        } rows, ${turnedIn} heads of an even width are wanted`,
      );
    }
    mapped.set(found.name, { ...found, source, type, headDim });
  }
  return mapped;
}

function undecodable(uri: string, name: string, { name: type }: GgufType): UnsupportedModelError {
  return new UnsupportedModelError(
    `Cannot use the model of "${uri}": tensor "${name}" is ${type}, and ${
      DECODABLE_TYPES.join(", ")
    } are supported; ` +
      `take a file of another quantisation, such as Q4_K_M or Q8_0`,
  );
}
