/**
 * Keys and values of the tokens seen so far, so that each new token costs one token's work.
 *
 * @module
 */
import { GpuMemoryError } from "../errors.ts";
import { type Gpu, maxBindingBytes } from "../gpu/device.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { ModelConfig } from "../models/config.ts";
import { type Tensor, tensor } from "../tensor.ts";

/** Conversations side by side, and tokens of each. */
export interface CacheSize {
  /** Conversations side by side. */
  readonly rows: number;
  /** Tokens of each at most. */
  readonly length: number;
}

/** Rotated keys, and values, of one layer: each [rows · length, G·D]. */
export interface LayerCache {
  readonly k: Tensor;
  readonly v: Tensor;
}

/** The sizes of a model that its cache follows from. */
export type CachedModel = Pick<ModelConfig, "numHiddenLayers" | "numKeyValueHeads" | "headDim">;

/** GPU memory that a cache takes: 2 · layers · rows · length · G·D values in f32. */
export function cacheBytes(config: CachedModel, { rows, length }: CacheSize): number {
  return 2 * config.numHiddenLayers * rows * length * config.numKeyValueHeads * config.headDim * 4;
}

export class KvCache {
  readonly size: CacheSize;
  readonly layers: readonly LayerCache[];

  /**
   * Takes the memory.
   *
   * @throws {GpuMemoryError} If one layer of it exceeds what the adapter binds.
   */
  constructor(config: CachedModel, size: CacheSize, gpu: Gpu) {
    const { rows, length } = size;
    const shape = [rows * length, config.numKeyValueHeads * config.headDim] as const;
    const layerBytes = 4 * shape[0] * shape[1];
    const limit = maxBindingBytes(gpu);
    if (layerBytes > limit) {
      throw new GpuMemoryError(
        `Cannot keep ${rows} rows of ${length} tokens as the keys of one layer need ${layerBytes} bytes and ` +
          `"${gpu.name}" binds ${limit}: generate for fewer prompts at a time, or fewer tokens`,
      );
    }
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST;
    const allocated = (label: string) => {
      const made = tensor(label, shape);
      made.buffer = gpu.device.createBuffer({ label, size: made.bytes, usage });
      return made;
    };
    this.size = size;
    this.layers = Array.from({ length: config.numHiddenLayers }, (_, i) => ({
      k: allocated(`cached keys ${i}`),
      v: allocated(`cached values ${i}`),
    }));
  }

  /** Where a token lies. @throws {RangeError} If the cache has no such place. */
  placeOf(row: number, position: number): number {
    const { rows, length } = this.size;
    if (row >= 0 && row < rows && position >= 0 && position < length) return row * length + position;
    throw new RangeError(
      `Cannot keep token ${position} of row ${row}: the cache has ${rows} rows of ${length} tokens`,
    );
  }

  destroy(): void {
    for (const { k, v } of this.layers) {
      k.buffer?.destroy();
      v.buffer?.destroy();
    }
  }
}
