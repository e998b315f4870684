/**
 * A frozen weight that stays packed on the GPU, in 4 to 16 bits a value. One copy serves forward and backward: products
 * unpack it as they read, or it is unpacked in front of each use where that is faster.
 *
 * @module
 */
import { GpuMemoryError } from "../errors.ts";
import { type Gpu, maxBindingBytes } from "../gpu/device.ts";
import type { Operand } from "../gpu/kernel.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { GroupedFormat } from "../../kernels/packed/kernel.ts";
import { type Tensor, tensor } from "../tensor.ts";
import type { Shard } from "./frozen_matrix.ts";
import type { StepRecorder } from "./step_recorder.ts";
import type { MatrixWeight } from "./weight.ts";

/** Gives the words of rows [first, first + count). */
export type WordReader = (firstRow: number, rowCount: number) => Promise<Uint32Array<ArrayBuffer>>;

interface PackedShard {
  readonly firstRow: number;
  readonly rows: number;
  readonly words: Tensor;
}

/** A [rows, cols] matrix in a packed format. */
export class PackedMatrix implements MatrixWeight {
  readonly label: string;
  readonly rows: number;
  readonly cols: number;
  readonly grad = null;
  readonly format: GroupedFormat;
  readonly #gpu: Gpu;
  readonly #shards: readonly PackedShard[];

  /**
   * Plans the matrix; allocates nothing. Formats whose rows can be cut apart lie in as many pieces as bindings need.
   *
   * @throws {GpuMemoryError} If a matrix that cannot be cut is larger than a binding.
   */
  constructor(label: string, rows: number, cols: number, format: GroupedFormat, gpu: Gpu) {
    this.label = label;
    this.rows = rows;
    this.cols = cols;
    this.format = format;
    this.#gpu = gpu;
    const limit = Math.floor(maxBindingBytes(gpu) / 4);
    const perShard = this.#rowsWithin(limit);
    const shards: PackedShard[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += perShard) {
      const count = Math.min(perShard, rows - firstRow);
      const words = tensor(label, [format.wordCount(count, cols)], "u32");
      shards.push({ firstRow, rows: count, words });
    }
    this.#shards = shards;
  }

  /** Bytes on the GPU. */
  get bytes(): number {
    return this.#shards.reduce((sum, { words }) => sum + words.bytes, 0);
  }

  /** The whole matrix as one operand. @throws {GpuMemoryError} If it had to be split. */
  operandOn(run: StepRecorder): Operand {
    if (this.#shards.length !== 1) {
      throw new GpuMemoryError(
        `Cannot multiply by "${this.label}" [${this.rows}, ${this.cols}] in one piece as "${this.#gpu.name}" binds at most ${
          this.#shards[0]!.rows
        } of its rows: use a smaller model or another adapter`,
      );
    }
    return this.shardsOn(run)[0]!.operand;
  }

  shardsOn(run: StepRecorder): readonly Shard[] {
    const { label, cols, format } = this;
    return this.#shards.map(({ firstRow, rows, words }) => {
      return { firstRow, rows, operand: run.unpacked(words, { label, rows, cols, format }) };
    });
  }

  /** Allocates and uploads. @throws {RangeError} If the words are not as many as the format needs. */
  async load(read: WordReader): Promise<void> {
    const { device } = this.#gpu;
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    for (const { firstRow, rows, words } of this.#shards) {
      const values = await read(firstRow, rows);
      if (values.byteLength !== words.bytes) {
        throw new RangeError(
          `Cannot load "${this.label}" [${this.rows}, ${this.cols}] in ${this.format.name}: ` +
            `${rows} rows take ${words.bytes} bytes, given are ${values.byteLength}`,
        );
      }
      words.buffer = device.createBuffer({ label: this.label, size: words.bytes, usage });
      device.queue.writeBuffer(words.buffer, 0, values);
      await this.#gpu.wrote(values.byteLength);
    }
    this.#gpu.check();
  }

  destroy(): void {
    for (const { words } of this.#shards) words.buffer?.destroy();
  }

  /** Rows of one piece of at most so many words. Groups that span rows cannot be cut. */
  #rowsWithin(limit: number): number {
    const { rows, cols, format, label } = this;
    if (format.wordCount(rows, cols) <= limit) return rows;
    const isCuttable = format.group === "row" || format.cuttable === true;
    const perRow = format.wordCount(64, cols) / 64;
    const fitting = Math.floor(limit / perRow / 64) * 64;
    if (isCuttable && fitting > 0) return fitting;
    throw new GpuMemoryError(
      `Cannot place "${label}" [${rows}, ${cols}] in ${format.name} as it takes ${
        4 * format.wordCount(rows, cols)
      } bytes and "${this.#gpu.name}" binds ${4 * limit}`,
    );
  }
}
