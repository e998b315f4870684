/**
 * The weights of a decoder on the GPU: planned first, so that memory is known before any is taken, then loaded one by
 * one. Frozen ones are uploaded once; trained ones are parameters of a pool.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { BufferUsage } from "../gpu/usage.ts";
import { FrozenMatrix } from "../nn/frozen_matrix.ts";
import type { Parameter, ParameterPool } from "../nn/parameter_pool.ts";
import type { Variants } from "../nn/variants.ts";
import { type MatrixWeight, TrainedMatrix } from "../nn/weight.ts";
import { type Tensor, tensor } from "../tensor.ts";

/** Where a decoder's weights come from; names and shapes were checked against the config before. */
export interface WeightSource {
  readF32(name: string): Promise<Float32Array<ArrayBuffer>>;
  readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>>;
}

/** A vector of the model and where its gradient accumulates; null for a frozen one. */
export interface VectorWeight {
  readonly value: Tensor;
  readonly grad: Tensor | null;
}

/** Called as each tensor has arrived. */
export type LoadProgress = (done: number, all: number) => void;

export class DecoderWeights {
  readonly #gpu: Gpu;
  readonly #variants: Variants;
  readonly #pool: ParameterPool | null;
  readonly #matrices = new Map<string, FrozenMatrix>();
  readonly #vectors = new Map<string, Tensor>();
  readonly #trained = new Map<string, Parameter>();

  /** With a pool, every weight is a parameter of it; without, all are frozen. */
  constructor(gpu: Gpu, variants: Variants, pool: ParameterPool | null) {
    this.#gpu = gpu;
    this.#variants = variants;
    this.#pool = pool;
  }

  /** Plans a [rows, cols] matrix. */
  matrix(name: string, rows: number, cols: number): MatrixWeight {
    if (this.#pool) return new TrainedMatrix(this.#parameter(this.#pool, name, [rows, cols]));
    const made = new FrozenMatrix(name, rows, cols, this.#gpu, this.#variants);
    this.#matrices.set(name, made);
    return made;
  }

  /** Plans the weight of a norm, or a bias. */
  vector(name: string, length: number): VectorWeight {
    if (this.#pool) return this.#parameter(this.#pool, name, [length]);
    const value = tensor(name, [length]);
    this.#vectors.set(name, value);
    return { value, grad: null };
  }

  /** Bytes of all frozen weights on the GPU. */
  get bytes(): number {
    return [...this.#matrices.values(), ...this.#vectors.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Uploads tensor by tensor; at most a few megabytes are on the host at a time. */
  async load(source: WeightSource, onTensor?: LoadProgress): Promise<void> {
    const all = this.#matrices.size + this.#vectors.size + this.#trained.size;
    let done = 0;
    for (const [name, matrix] of this.#matrices) {
      await matrix.load((first, count) => source.readRowsF32(name, first, count));
      onTensor?.(++done, all);
    }
    for (const [name, vector] of this.#vectors) {
      this.upload(vector, await source.readF32(name));
      onTensor?.(++done, all);
    }
    for (const [name, { value }] of this.#trained) {
      this.#gpu.device.queue.writeBuffer(value.buffer!, value.offset, await source.readF32(name));
      onTensor?.(++done, all);
    }
  }

  /** Takes memory for a tensor and writes its values. */
  upload(to: Tensor, values: Float32Array<ArrayBuffer>): void {
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    to.buffer = this.#gpu.device.createBuffer({ label: to.label, size: to.bytes, usage });
    this.#gpu.device.queue.writeBuffer(to.buffer, 0, values);
  }

  destroy(): void {
    for (const matrix of this.#matrices.values()) matrix.destroy();
    for (const vector of this.#vectors.values()) vector.buffer?.destroy();
  }

  #parameter(pool: ParameterPool, name: string, shape: readonly number[]): Parameter {
    const made = pool.add(name, shape);
    this.#trained.set(name, made);
    return made;
  }
}
