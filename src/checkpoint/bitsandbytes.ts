/**
 * Weights that bitsandbytes quantised, read from the safetensors that it writes. Beside a 4-bit `X.weight` (codes, two a
 * byte) stand
 *
 *     X.weight.absmax                            f32 scales, or u8 codes of them
 *     X.weight.quant_map                         f32 [16], the levels
 *     X.weight.nested_absmax, .nested_quant_map  f32, where the scales are quantised themselves
 *     X.weight.quant_state.bitsandbytes__nf4     JSON: shape, block sizes, offset of the scales
 *
 * and beside an 8-bit `X.weight` (i8 [out, in]) stands `X.SCB`, f32 [out].
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
import { UnsupportedModelError } from "../errors.ts";
import { dequantizeScales, NESTED_BLOCK_VALUES, type NestedScales } from "../quant/double_quant.ts";
import { encodeFloats } from "../quant/float16.ts";
import { dequantizeInt8 } from "../quant/int8.ts";
import { dequantizeNf4, NF4_BLOCK_VALUES, NF4_LEVELS } from "../quant/nf4.ts";
import { checkedInt8, checkedNf4, formatOf, NF4_STATE } from "./bitsandbytes_checks.ts";
import type { Nf4State } from "./bitsandbytes_state.ts";
import type { TensorInfo } from "./safetensors.ts";
import type { ModelWeights } from "./weight_files.ts";

/** A matrix in NF4: codes as {@link BitsandbytesWeights.readCodes} gives them, and what they mean. */
export interface Nf4Matrix {
  /** Tells the two kinds of matrices apart. */
  readonly kind: "nf4";
  /** [out, in] */
  readonly shape: readonly number[];
  /** Values that share a scale. */
  readonly blockValues: number;
  /** The value of each code at scale 1. */
  readonly levels: Float32Array<ArrayBuffer>;
  /** One scale a block of the flattened matrix. */
  readonly absmax: Float32Array<ArrayBuffer>;
  /** The scales as the file has them, where it has them in 8 bits. */
  readonly nested: NestedScales & { readonly blockValues: number; readonly levels: Float32Array } | null;
}

/** A matrix in 8 bits with a scale for each row. */
export interface Int8Matrix {
  /** Tells the two kinds of matrices apart. */
  readonly kind: "int8";
  /** [out, in] */
  readonly shape: readonly number[];
  /** [out], the largest magnitude of each row. */
  readonly absmax: Float32Array<ArrayBuffer>;
}

/** A quantised weight whose parts were found to agree. */
type Found = { readonly kind: "nf4"; readonly state: Nf4State } | {
  readonly kind: "int8";
  readonly scales: string;
};

const NF4_PARTS = ["absmax", "quant_map", "nested_absmax", "nested_quant_map"];

/** Whether a checkpoint holds weights that bitsandbytes quantised. */
export function isBitsandbytes(infos: ReadonlyMap<string, TensorInfo>): boolean {
  return [...infos.keys()].some((name) => /\.quant_state\.bitsandbytes__\w+$|\.SCB$/.test(name));
}

/** A checkpoint as if it had never been quantised, and its quantised parts for those who want them. */
export class BitsandbytesWeights implements ModelWeights {
  /** Quantised weights have their matrix's shape and are read as F32. */
  readonly infos: ReadonlyMap<string, TensorInfo>;
  readonly files: ReadonlyMap<string, readonly TensorInfo[]>;
  readonly #inner: ModelWeights;
  readonly #found: ReadonlyMap<string, Found>;
  /** Rows are asked for in turn, so the scales of one matrix are kept. */
  #last: { readonly name: string; readonly matrix: Nf4Matrix | Int8Matrix } | null = null;

  private constructor(inner: ModelWeights, found: ReadonlyMap<string, Found>) {
    this.#inner = inner;
    this.#found = found;
    const hidden = new Set([...found].flatMap(([name, one]) => partsOf(name, one)));
    this.files = new Map([...inner.files].map(([file, infos]) => {
      return [
        file,
        infos.filter(({ name }) => !hidden.has(name)).map((info) => shown(info, found.get(info.name))),
      ];
    }));
    this.infos = new Map([...this.files.values()].flat().map((info) => [info.name, info]));
  }

  /**
   * Checks every quantised weight of a checkpoint against its own description. The checkpoint is closed with this view of it.
   *
   * @throws {ModelFormatError} If parts are missing or contradict each other.
   * @throws {UnsupportedModelError} If a weight is in FP4, or its 8 bits are in another order than rows.
   */
  static async open(inner: ModelWeights): Promise<BitsandbytesWeights> {
    const found = new Map<string, Found>();
    for (const { name } of inner.infos.values()) {
      const weight = /^(.*\.weight)\.quant_state\.bitsandbytes__\w+$/.exec(name)?.[1];
      if (weight) found.set(weight, { kind: "nf4", state: await checkedNf4(inner, weight, name) });
      if (name.endsWith(".SCB")) {
        const matrix = `${name.slice(0, -"SCB".length)}weight`;
        await checkedInt8(inner, matrix, name);
        found.set(matrix, { kind: "int8", scales: name });
      }
    }
    return new BitsandbytesWeights(inner, found);
  }

  /** How a weight is quantised; null where it is not. */
  async quantised(name: string): Promise<Nf4Matrix | Int8Matrix | null> {
    const found = this.#found.get(name);
    if (!found) return null;
    if (this.#last?.name !== name) {
      const matrix = found.kind === "nf4"
        ? await readNf4(this.#inner, name, found.state)
        : await readInt8(this.#inner, name, found.scales);
      this.#last = { name, matrix };
    }
    return this.#last.matrix;
  }

  /**
   * Codes of a quantised weight as the file has them: of NF4 two a byte over the flattened matrix, the first one high.
   *
   * @throws {ModelFormatError} If there is no such tensor.
   */
  async readCodes(name: string, firstByte?: number, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#inner.readRaw(name, firstByte, byteLength);
  }

  /** How a matrix stays on the GPU; null for one that is not quantised, or in blocks of other sizes. */
  formatOf(name: string): GroupedFormat | null {
    const found = this.#found.get(name);
    if (!found) return null;
    if (found.kind === "int8") return INT8;
    const { blockValues, nested } = found.state;
    if (blockValues !== NF4_BLOCK_VALUES) return null;
    if (!nested) return NF4;
    return nested.blockValues === NESTED_BLOCK_VALUES ? NF4_DOUBLE : null;
  }

  /** Rows of a matrix in its format; of NF4 all of them. @throws {UnsupportedModelError} If its levels are not NF4's. */
  async readWords(name: string, firstRow: number, rowCount: number): Promise<Uint32Array<ArrayBuffer>> {
    const matrix = (await this.quantised(name))!, cols = matrix.shape[1]!;
    if (matrix.kind === "int8") {
      const bytes = await this.readCodes(name, firstRow * cols, rowCount * cols);
      const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
      return int8Words(codes, matrix.absmax.subarray(firstRow, firstRow + rowCount), cols);
    }
    if (!matrix.levels.every((level, i) => level === NF4_LEVELS[i])) {
      throw new UnsupportedModelError(`Cannot use "${name}": its quant_map is not that of NF4`);
    }
    const codes = await this.readCodes(name);
    return matrix.nested ? nf4DoubleWords(codes, matrix.nested) : nf4Words(codes, matrix.absmax);
  }

  /** As the matrix was before it was rounded to the compute dtype that bitsandbytes was told. */
  async readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>> {
    const matrix = await this.quantised(name);
    if (!matrix) return await this.#inner.readRowsF32(name, firstRow, rowCount);
    const [rows, cols] = matrix.shape as [number, number];
    if (firstRow < 0 || rowCount < 0 || firstRow + rowCount > rows) {
      throw new RangeError(
        `Cannot read rows ${firstRow} to ${
          firstRow + rowCount
        } of tensor "${name}": its shape is [${rows}, ${cols}]`,
      );
    }
    const first = firstRow * cols, end = first + rowCount * cols;
    if (matrix.kind === "int8") {
      const bytes = await this.readCodes(name, first, end - first);
      const codes = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
      return dequantizeInt8(codes, matrix.absmax.subarray(firstRow, firstRow + rowCount), cols);
    }
    const { blockValues, absmax, levels } = matrix;
    const firstBlock = Math.floor(first / blockValues), start = firstBlock * blockValues; // blocks have even sizes
    const codes = await this.readCodes(name, start / 2, Math.ceil(end / 2) - start / 2);
    return dequantizeNf4(codes, absmax.subarray(firstBlock), end - start, blockValues, levels).slice(
      first - start,
    );
  }

  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const shape = this.#found.has(name) ? this.infos.get(name)!.shape : null;
    return shape ? await this.readRowsF32(name, 0, shape[0]!) : await this.#inner.readF32(name);
  }

  async readRaw(name: string, firstByte = 0, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#found.has(name)) return await this.#inner.readRaw(name, firstByte, byteLength);
    const { shape, byteLength: all } = this.infos.get(name)!, rowBytes = all / shape[0]!;
    const end = byteLength === undefined ? all : firstByte + byteLength;
    const firstRow = Math.floor(firstByte / rowBytes);
    const rows = await this.readRowsF32(name, firstRow, Math.ceil(end / rowBytes) - firstRow);
    return encodeFloats("F32", rows).slice(firstByte - firstRow * rowBytes, end - firstRow * rowBytes);
  }

  /** Closes the files below. */
  close(): Promise<void> {
    return this.#inner.close();
  }
}

/** Names of the tensors that only say what another one means. */
function partsOf(name: string, found: Found): string[] {
  if (found.kind === "nf4") return [...NF4_PARTS.map((part) => `${name}.${part}`), `${name}${NF4_STATE}`];
  return [found.scales, formatOf(found.scales)];
}

function shown(info: TensorInfo, found: Found | undefined): TensorInfo {
  if (!found) return info;
  const shape = found.kind === "nf4" ? found.state.shape : info.shape;
  return { name: info.name, dtype: "F32", shape, byteLength: 4 * shape.reduce((a, b) => a * b, 1) };
}

async function readNf4(inner: ModelWeights, name: string, state: Nf4State): Promise<Nf4Matrix> {
  const { shape, blockValues, nested } = state;
  const base = { kind: "nf4", shape, blockValues, levels: await inner.readF32(`${name}.quant_map`) } as const;
  if (!nested) return { ...base, absmax: await inner.readF32(`${name}.absmax`), nested: null };
  const scales = {
    codes: await inner.readRaw(`${name}.absmax`),
    nestedAbsmax: await inner.readF32(`${name}.nested_absmax`),
    offset: Math.fround(nested.offset),
    blockValues: nested.blockValues,
    levels: await inner.readF32(`${name}.nested_quant_map`),
  };
  return { ...base, absmax: dequantizeScales(scales, scales.blockValues, scales.levels), nested: scales };
}

async function readInt8(inner: ModelWeights, name: string, scales: string): Promise<Int8Matrix> {
  return { kind: "int8", shape: inner.infos.get(name)!.shape, absmax: await inner.readF32(scales) };
}
