/**
 * A weight of the base model: never trained, uploaded once, kept where the adapter's products read it fastest.
 *
 * @module
 */
import { GpuMemoryError } from "../errors.ts";
import { type Gpu, maxBindingBytes } from "../gpu/device.ts";
import { LOOP_BUDGET, type MatrixTexture, type Operand } from "../gpu/kernel.ts";
import { BufferUsage, TextureUsage } from "../gpu/usage.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { inStorage } from "./step_recorder.ts";
import type { Variants } from "./variants.ts";
import type { MatrixWeight } from "./weight.ts";

/** Bytes that are read and written at a time. */
const UPLOAD_CHUNK_BYTES = 1 << 18;

/** A gradient sums over the rows of a shard, four a step; tiles with workgroup memory loop over their loads as well. */
const MOST_SHARD_ROWS = 2 * LOOP_BUDGET;

/** Gives rows [first, first + count) of a weight as f32, row-major. */
export type RowReader = (firstRow: number, rowCount: number) => Promise<Float32Array<ArrayBuffer>>;

/** Consecutive rows of a matrix in one texture or buffer. */
export interface Shard {
  readonly firstRow: number;
  readonly rows: number;
  readonly operand: Operand;
}

/** A frozen [rows, cols] matrix in f32. */
export class FrozenMatrix implements MatrixWeight {
  readonly label: string;
  readonly rows: number;
  readonly cols: number;
  readonly grad = null;
  readonly shards: readonly Shard[];
  readonly #gpu: Gpu;

  /** Plans the shards; allocates nothing. Shards are split at multiples of 4 rows. */
  constructor(label: string, rows: number, cols: number, gpu: Gpu, variants: Variants) {
    this.label = label;
    this.rows = rows;
    this.cols = cols;
    this.#gpu = gpu;
    const width = Math.ceil(cols / 4);
    const inTexture = variants.operands === "texture" && width <= gpu.limits.maxTextureDimension2D;
    const limit = inTexture
      ? gpu.limits.maxTextureDimension2D
      : Math.floor(maxBindingBytes(gpu) / (4 * cols));
    const perShard = Math.floor(Math.min(limit, MOST_SHARD_ROWS) / 4) * 4;
    if (perShard < 4) {
      throw new GpuMemoryError(
        `Cannot place "${label}" as one row of ${cols} columns exceeds what "${gpu.name}" binds`,
      );
    }
    const shards: Shard[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += perShard) {
      const count = Math.min(perShard, rows - firstRow);
      shards.push({ firstRow, rows: count, operand: planShard(label, count, cols, inTexture) });
    }
    this.shards = shards;
  }

  /** Bytes on the GPU. */
  get bytes(): number {
    return this.shards.reduce((sum, { operand }) => sum + placeOf(operand).bytes, 0);
  }

  shardsOn(): readonly Shard[] {
    return this.shards;
  }

  /** The whole matrix as one operand. @throws {GpuMemoryError} If it had to be split. */
  operandOn(): Operand {
    if (this.shards.length !== 1) {
      throw new GpuMemoryError(
        `Cannot multiply by "${this.label}" [${this.rows}, ${this.cols}] in one piece as "${this.#gpu.name}" binds at most ${
          this.shards[0]!.rows
        } of its rows: use a smaller model or another adapter`,
      );
    }
    return this.shards[0]!.operand;
  }

  /** Allocates and uploads, a few megabytes at a time. */
  async load(read: RowReader): Promise<void> {
    const perChunk = Math.max(4, Math.floor(UPLOAD_CHUNK_BYTES / (4 * this.cols) / 4) * 4);
    for (const shard of this.shards) {
      allocateShard(this.#gpu.device, shard.operand);
      for (let row = 0; row < shard.rows; row += perChunk) {
        const count = Math.min(perChunk, shard.rows - row);
        upload(this.#gpu.device, shard.operand, row, await read(shard.firstRow + row, count), this.cols);
        await this.#gpu.wrote(4 * count * this.cols);
      }
    }
    this.#gpu.check();
  }

  destroy(): void {
    for (const { operand } of this.shards) {
      if (operand.source === "texture") operand.texture.texture?.destroy();
      else operand.tensor.buffer?.destroy();
    }
  }
}

function planShard(label: string, rows: number, cols: number, inTexture: boolean): Operand {
  if (!inTexture) return inStorage(tensor(label, [rows, cols]));
  const width = Math.ceil(cols / 4), height = 4 * Math.ceil(rows / 4);
  return { source: "texture", texture: { label, width, height, bytes: 16 * width * height, texture: null } };
}

const placeOf = (operand: Operand): Tensor | MatrixTexture =>
  operand.source === "texture" ? operand.texture : operand.tensor;

function allocateShard(device: GPUDevice, operand: Operand): void {
  if (operand.source === "texture") {
    const { label, width, height } = operand.texture;
    operand.texture.texture = device.createTexture({
      label,
      size: [width, height],
      format: "rgba32float",
      usage: TextureUsage.TEXTURE_BINDING | TextureUsage.COPY_DST,
    });
  } else {
    const { label, bytes } = operand.tensor;
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    operand.tensor.buffer = device.createBuffer({ label, size: bytes, usage });
  }
}

/** Writes rows from `firstRow` on. WebGPU zeroes what is never written, so padding is zero. */
function upload(
  device: GPUDevice,
  operand: Operand,
  firstRow: number,
  values: Float32Array<ArrayBuffer>,
  cols: number,
): void {
  const rows = values.length / cols;
  if (operand.source !== "texture") {
    device.queue.writeBuffer(operand.tensor.buffer!, firstRow * cols * 4, values);
    return;
  }
  const width = operand.texture.width;
  let padded = values;
  if (4 * width !== cols) {
    padded = new Float32Array(rows * 4 * width);
    for (let r = 0; r < rows; r++) padded.set(values.subarray(r * cols, (r + 1) * cols), r * 4 * width);
  }
  const destination = { texture: operand.texture.texture!, origin: [0, firstRow] };
  device.queue.writeTexture(destination, padded, { bytesPerRow: 16 * width }, [width, rows]);
}
