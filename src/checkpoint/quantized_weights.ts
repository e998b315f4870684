/**
 * A checkpoint whose linear maps are quantised as they are read: what the GPU gets is packed, and every other reader sees
 * the values that the packed words stand for. Other tensors pass through.
 *
 * One matrix is held at a time, so a model of any size is quantised in the memory of its largest map.
 *
 * @module
 */
import {
  type GroupedFormat,
  INT8,
  int8Words,
  NF4,
  NF4_DOUBLE,
  nf4DoubleWords,
  nf4Words,
} from "../../kernels/packed/kernel.ts";
import {
  dequantizeScales,
  DYNAMIC_LEVELS,
  type NestedScales,
  quantizeScales,
} from "../quant/double_quant.ts";
import { encodeFloats } from "../quant/float16.ts";
import { dequantizeInt8, type Int8Rows, quantizeInt8 } from "../quant/int8.ts";
import { dequantizeNf4, NF4_BLOCK_VALUES, quantizeNf4, wholeBlockRows } from "../quant/nf4.ts";
import type { TensorInfo } from "./safetensors.ts";
import type { ModelWeights } from "./weight_files.ts";

/** How linear maps are quantised. */
export type Quantization = "nf4" | "nf4_double" | "int8";

const FORMATS: Readonly<Record<Quantization, GroupedFormat>> = {
  nf4: NF4,
  nf4_double: NF4_DOUBLE,
  int8: INT8,
};

/** Values quantised at a time; 4 MiB of f32. */
const PIECE_VALUES = 2 ** 20;

/** A quantised matrix. */
type Matrix =
  | { readonly kind: "int8"; readonly rows: Int8Rows }
  | {
    readonly kind: "nf4";
    readonly codes: Uint8Array<ArrayBuffer>;
    /** As the codes are to be scaled: of nested scales, what those stand for. */
    readonly absmax: Float32Array<ArrayBuffer>;
    readonly nested: NestedScales | null;
  };

export class QuantizedWeights implements ModelWeights {
  readonly infos: ReadonlyMap<string, TensorInfo>;
  readonly files: ReadonlyMap<string, readonly TensorInfo[]>;
  /** The checkpoint as it is. */
  readonly original: ModelWeights;
  readonly #quantization: Quantization;
  readonly #quantised: ReadonlySet<string>;
  #last: { readonly name: string; readonly matrix: Promise<Matrix> } | null = null;

  /** `names` are the tensors to quantise, [out, in] each. Closes the checkpoint with this view of it. */
  constructor(original: ModelWeights, quantization: Quantization, names: Iterable<string>) {
    this.original = original;
    this.infos = original.infos;
    this.files = original.files;
    this.#quantization = quantization;
    this.#quantised = new Set(names);
  }

  formatOf(name: string): GroupedFormat | null {
    return this.#quantised.has(name) ? FORMATS[this.#quantization] : null;
  }

  /** @throws {RangeError} If NF4 is asked for less than the whole matrix: its blocks may span rows. */
  async readWords(name: string, firstRow: number, rowCount: number): Promise<Uint32Array<ArrayBuffer>> {
    const matrix = await this.#matrix(name), [rows, cols] = this.#shape(name);
    if (matrix.kind === "int8") {
      const { codes, absmax } = matrix.rows;
      const some = codes.subarray(firstRow * cols, (firstRow + rowCount) * cols);
      return int8Words(some, absmax.subarray(firstRow, firstRow + rowCount), cols);
    }
    if (firstRow !== 0 || rowCount !== rows) {
      throw new RangeError(`Cannot cut "${name}" [${rows}, ${cols}] in NF4 at row ${firstRow}`);
    }
    const { codes, absmax, nested } = matrix;
    return nested ? nf4DoubleWords(codes, { ...nested, levels: DYNAMIC_LEVELS }) : nf4Words(codes, absmax);
  }

  async readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>> {
    if (!this.#quantised.has(name)) return await this.original.readRowsF32(name, firstRow, rowCount);
    const matrix = await this.#matrix(name), cols = this.#shape(name)[1];
    const first = firstRow * cols, end = first + rowCount * cols;
    if (matrix.kind === "int8") {
      const { codes, absmax } = matrix.rows;
      return dequantizeInt8(codes.subarray(first, end), absmax.subarray(firstRow, firstRow + rowCount), cols);
    }
    const firstBlock = Math.floor(first / NF4_BLOCK_VALUES), start = firstBlock * NF4_BLOCK_VALUES;
    const codes = matrix.codes.subarray(start / 2, Math.ceil(end / 2));
    return dequantizeNf4(codes, matrix.absmax.subarray(firstBlock), end - start).slice(first - start);
  }

  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    if (!this.#quantised.has(name)) return await this.original.readF32(name);
    return await this.readRowsF32(name, 0, this.#shape(name)[0]);
  }

  async readRaw(name: string, firstByte = 0, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#quantised.has(name)) return await this.original.readRaw(name, firstByte, byteLength);
    const { dtype, shape, byteLength: all } = this.infos.get(name)!, rowBytes = all / shape[0]!;
    const end = byteLength === undefined ? all : firstByte + byteLength;
    const firstRow = Math.floor(firstByte / rowBytes);
    const rows = await this.readRowsF32(name, firstRow, Math.ceil(end / rowBytes) - firstRow);
    const bytes = encodeFloats(dtype as "F32", rows);
    return bytes.slice(firstByte - firstRow * rowBytes, end - firstRow * rowBytes);
  }

  close(): Promise<void> {
    return this.original.close();
  }

  #shape(name: string): readonly [number, number] {
    return this.infos.get(name)!.shape as unknown as readonly [number, number];
  }

  /** Rows are asked for in turn: the last matrix is kept. */
  #matrix(name: string): Promise<Matrix> {
    if (this.#last?.name !== name) this.#last = { name, matrix: this.#quantise(name) };
    return this.#last.matrix;
  }

  async #quantise(name: string): Promise<Matrix> {
    const [rows, cols] = this.#shape(name);
    if (this.#quantization === "int8") {
      const codes = new Int8Array(rows * cols), absmax = new Float32Array(rows);
      for await (const { row, values } of this.#pieces(name, 1)) {
        const piece = quantizeInt8(values, cols);
        codes.set(piece.codes, row * cols);
        absmax.set(piece.absmax, row);
      }
      return { kind: "int8", rows: { codes, absmax } };
    }
    const codes = new Uint8Array(Math.ceil(rows * cols / 2));
    const absmax = new Float32Array(Math.ceil(rows * cols / NF4_BLOCK_VALUES));
    for await (const { row, values } of this.#pieces(name, wholeBlockRows(cols))) {
      const piece = quantizeNf4(values);
      codes.set(piece.codes, row * cols / 2);
      absmax.set(piece.absmax, row * cols / NF4_BLOCK_VALUES);
    }
    if (this.#quantization === "nf4") return { kind: "nf4", codes, absmax, nested: null };
    const nested = quantizeScales(absmax);
    return { kind: "nf4", codes, absmax: dequantizeScales(nested), nested };
  }

  /** A matrix some rows at a time, a multiple of `unit` but for the last. */
  async *#pieces(name: string, unit: number) {
    const [rows, cols] = this.#shape(name);
    const count = Math.max(1, Math.floor(PIECE_VALUES / cols / unit)) * unit;
    for (let row = 0; row < rows; row += count) {
      const values = await this.original.readRowsF32(name, row, Math.min(count, rows - row));
      yield { row, values };
    }
  }
}
