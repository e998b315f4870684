/**
 * Weights on their way into an ONNX model: merged, and in the type of the file.
 *
 *     W' = W + s·B·A     in f64, rounded to f32 and then to the type of the file
 *
 * @module
 */
import { mergeRows } from "../checkpoint/merge.ts";
import { ModelFormatError } from "../errors.ts";
import { encodeFloats } from "../quant/float16.ts";
import type { ReadableFolder } from "../storage.ts";
import type { WrittenPlace } from "./onnx_files.ts";
import type { OnnxWeight, ProductType } from "./onnx_layers.ts";
import type { ExportSource } from "./source.ts";

/** Values read at a time; 4 MiB of f32. */
const PIECE_VALUES = 2 ** 20;

/** Rows compared at either end of a weight after writing. */
const COMPARED_ROWS = 4;

/** How values are encoded, and the largest magnitude that is finite. */
const ENCODINGS = {
  float32: { floats: "F32", most: 3.4028234e38 },
  float16: { floats: "F16", most: 65_504 },
} as const satisfies Record<ProductType, unknown>;

export class OnnxWeightRows {
  readonly #source: Pick<ExportSource, "base" | "updates">;
  readonly #weight: OnnxWeight;
  /** A of the update, widened once for all rows. */
  #wideA: Float64Array | null = null;

  constructor(source: Pick<ExportSource, "base" | "updates">, weight: OnnxWeight) {
    this.#source = source;
    this.#weight = weight;
  }

  /** All rows, some megabytes at a time. @throws {RangeError} If a value is not finite in the weight's type. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const { rows, columns } = this.#sizes, pieceRows = Math.max(1, Math.floor(PIECE_VALUES / columns));
    for (let first = 0; first < rows; first += pieceRows) {
      yield await this.#encoded(first, Math.min(pieceRows, rows - first));
    }
    this.#wideA = null;
  }

  /** Compares the first and last rows with what was written. @throws {ModelFormatError} If they differ. */
  async check(folder: ReadableFolder, { file, offset }: WrittenPlace): Promise<void> {
    const { rows } = this.#sizes, count = Math.min(rows, COMPARED_ROWS);
    const opened = await folder.open(file);
    try {
      for (const first of new Set([0, rows - count])) {
        const wanted = await this.#encoded(first, count), rowBytes = wanted.length / count;
        const found = await opened.read(offset + first * rowBytes, wanted.length);
        if (found.every((byte, i) => byte === wanted[i])) continue;
        throw new ModelFormatError(
          `"${opened.uri}" does not read back as it was written: tensor "${this.#weight.name}" differs`,
        );
      }
    } finally {
      await opened.close();
    }
    this.#wideA = null;
  }

  get #sizes(): { readonly rows: number; readonly columns: number } {
    const [rows = 0, columns = 1] = this.#weight.shape;
    return { rows, columns };
  }

  async #encoded(first: number, count: number): Promise<Uint8Array<ArrayBuffer>> {
    const { name, added, type } = this.#weight, { base, updates } = this.#source;
    const values = await base.weights.readRowsF32(name, first, count), update = updates.get(name);
    if (update) mergeRows(values, this.#wideA ??= Float64Array.from(update.loraA), update, first);
    const { floats, most } = ENCODINGS[type];
    for (let i = 0; i < values.length; i++) {
      const value = values[i]! + added;
      if (!(Math.abs(value) <= most)) throw this.#tooLarge(first, i, value);
      values[i] = value;
    }
    return encodeFloats(floats, values);
  }

  #tooLarge(firstRow: number, index: number, value: number): RangeError {
    const { name, type } = this.#weight, { columns } = this.#sizes, { floats, most } = ENCODINGS[type];
    const place = `row ${firstRow + Math.floor(index / columns)}, column ${index % columns}`;
    const remedy = type === "float16" ? "take --type f32" : "the base or the adapter is damaged";
    return new RangeError(
      `Cannot export "${name}" as ${floats}: the value at ${place} is ${value}, and ${most} is the most; ${remedy}`,
    );
  }
}
