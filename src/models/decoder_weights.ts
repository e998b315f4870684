/**
 * The weights of a decoder on the GPU: planned first, so that memory is known before any is taken, then loaded one by
 * one. Frozen ones are uploaded once; trained ones are parameters of a pool.
 *
 * @module
 */
import { BF16, F16, type GroupedFormat } from "../../kernels/packed/kernel.ts";
import type { Gpu } from "../gpu/device.ts";
import { BufferUsage } from "../gpu/usage.ts";
import { FrozenMatrix } from "../nn/frozen_matrix.ts";
import { PackedMatrix } from "../nn/packed_matrix.ts";
import type { Parameter, ParameterPool } from "../nn/parameter_pool.ts";
import type { Variants } from "../nn/variants.ts";
import { type MatrixWeight, TrainedMatrix } from "../nn/weight.ts";
import { type Tensor, tensor } from "../tensor.ts";

/** Where a decoder's weights come from; names and shapes were checked against the config before. */
export interface WeightSource {
  readF32(name: string): Promise<Float32Array<ArrayBuffer>>;
  readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>>;
}

/** A source that has matrices in packed formats, or makes them. */
export interface PackedSource extends WeightSource {
  /** How a matrix is kept on the GPU; null for f32. */
  formatOf(name: string): GroupedFormat | null;
  /** Words of rows of a matrix in that format. Matrices of formats that cannot be cut are asked for whole. */
  readWords(name: string, firstRow: number, rowCount: number): Promise<Uint32Array<ArrayBuffer>>;
}

/** Whether a source knows of packed formats. */
export function isPacked(source: object): source is PackedSource {
  return "formatOf" in source;
}

/** Tensors that are trained themselves. */
export interface TrainedTensors {
  readonly pool: ParameterPool;
  /** Whether a tied head stays the embedding where that is trained; else both are tensors of their own. */
  readonly isTied: boolean;
  /** Name of a tensor's parameter; null for a frozen one. */
  readonly nameOf: (tensor: string) => string | null;
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
  readonly #tensors: TrainedTensors | null;
  readonly #formatOf: PackedSource["formatOf"];
  readonly #loaded: DecoderWeights | null;
  readonly #matrices = new Map<string, FrozenMatrix | PackedMatrix>();
  readonly #vectors = new Map<string, Tensor>();
  readonly #trained: { readonly source: string; readonly parameter: Parameter }[] = [];

  /**
   * Trained tensors are parameters of their pool; the others are frozen, in the formats that are given.
   *
   * @param loaded Weights that are on the GPU already: frozen ones of the same name are used where they lie, and stay
   * when these are destroyed.
   */
  constructor(
    gpu: Gpu,
    variants: Variants,
    tensors: TrainedTensors | null,
    formatOf: PackedSource["formatOf"] = () => null,
    loaded: DecoderWeights | null = null,
  ) {
    this.#loaded = loaded;
    this.#formatOf = formatOf;
    this.#gpu = gpu;
    this.#variants = variants;
    this.#tensors = tensors;
  }

  /** Plans a [rows, cols] matrix that blocks multiply by. */
  matrix(name: string, rows: number, cols: number): MatrixWeight {
    const trained = this.#parameter(name, [rows, cols]);
    if (trained) return new TrainedMatrix(trained);
    const loaded = this.#loadedMatrix(name);
    if (loaded) return loaded;
    const format = cols % 4 === 0 ? this.#formatFor(name) : null;
    return this.#keep(
      name,
      format
        ? new PackedMatrix(name, rows, cols, format, this.#gpu)
        : new FrozenMatrix(name, rows, cols, this.#gpu, this.#variants),
    );
  }

  /**
   * Plans the embedding or the head. Where products do not read packed words it is kept in f32: unpacking a whole
   * vocabulary for each use would cost more than it saves.
   */
  vocabulary(name: string, rows: number, cols: number): MatrixWeight {
    if (this.isTrained(name) || this.#variants.packed === "read") return this.matrix(name, rows, cols);
    const loaded = this.#loadedMatrix(name);
    if (loaded) return loaded;
    return this.#keep(name, new FrozenMatrix(name, rows, cols, this.#gpu, this.#variants));
  }

  /**
   * Plans a head that begins as the embedding and is none any more, where one of the two is trained: the trained one is a
   * copy.
   */
  untiedHead(name: string, embedding: string, rows: number, cols: number): MatrixWeight {
    const trained = this.#parameter(name, [rows, cols], embedding);
    if (trained) return new TrainedMatrix(trained);
    const loaded = this.#loadedMatrix(embedding);
    if (loaded) return loaded;
    const format = this.#variants.packed === "read" && cols % 4 === 0 ? this.#formatFor(embedding) : null;
    return this.#keep(
      embedding,
      format
        ? new PackedMatrix(name, rows, cols, format, this.#gpu)
        : new FrozenMatrix(name, rows, cols, this.#gpu, this.#variants),
    );
  }

  /** Whether a tensor is a parameter. */
  isTrained(name: string): boolean {
    return (this.#tensors?.nameOf(name) ?? null) !== null;
  }

  /** Halves are widened where products cannot read them as they lie: unpacking would cost time and save the lesser part. */
  #formatFor(name: string): GroupedFormat | null {
    const format = this.#formatOf(name);
    const isHalf = format === F16 || format === BF16;
    return isHalf && this.#variants.packed === "unpack" ? null : format;
  }

  #keep(name: string, made: FrozenMatrix | PackedMatrix): MatrixWeight {
    this.#matrices.set(name, made);
    return made;
  }

  /** Plans the weight of a norm, or a bias. */
  vector(name: string, length: number): VectorWeight {
    const trained = this.#parameter(name, [length]);
    if (trained) return trained;
    const loaded = this.#loadedVector(name);
    if (loaded) return { value: loaded, grad: null };
    const value = tensor(name, [length]);
    this.#vectors.set(name, value);
    return { value, grad: null };
  }

  /** Bytes of all frozen weights on the GPU. */
  get bytes(): number {
    return [...this.#matrices.values(), ...this.#vectors.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The same by how they are kept, such as `f32` and `nf4_double`. */
  get bytesByFormat(): ReadonlyMap<string, number> {
    const bytes = new Map<string, number>();
    const add = (format: string, more: number) => bytes.set(format, more + (bytes.get(format) ?? 0));
    for (const matrix of this.#matrices.values()) {
      add(matrix instanceof PackedMatrix ? matrix.format.name : "f32", matrix.bytes);
    }
    for (const vector of this.#vectors.values()) add("f32", vector.bytes);
    return bytes;
  }

  /** Bytes of the matrices that are kept packed, scales included, and the number of their values. */
  get packed(): { readonly bytes: number; readonly values: number } {
    const matrices = [...this.#matrices.values()].filter((matrix) => matrix instanceof PackedMatrix);
    return {
      bytes: matrices.reduce((sum, { bytes }) => sum + bytes, 0),
      values: matrices.reduce((sum, { rows, cols }) => sum + rows * cols, 0),
    };
  }

  /** Uploads tensor by tensor; at most a few megabytes are on the host at a time. */
  async load(source: WeightSource, onTensor?: LoadProgress): Promise<void> {
    const all = this.#matrices.size + this.#vectors.size + this.#trained.length;
    let done = 0;
    for (const [name, matrix] of this.#matrices) {
      if (matrix instanceof FrozenMatrix) {
        await matrix.load((first, count) => source.readRowsF32(name, first, count));
      } else if (isPacked(source)) {
        await matrix.load((first, count) => source.readWords(name, first, count));
      } else {throw new TypeError(
          `Cannot load "${name}": it was planned packed and its source has values only`,
        );}
      onTensor?.(++done, all);
    }
    for (const [name, vector] of this.#vectors) {
      this.upload(vector, await source.readF32(name));
      onTensor?.(++done, all);
    }
    for (const { source: name, parameter: { value } } of this.#trained) {
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

  #loadedMatrix(name: string): MatrixWeight | null {
    return this.#loaded ? this.#loaded.#matrices.get(name) ?? null : null;
  }

  #loadedVector(name: string): Tensor | null {
    return this.#loaded ? this.#loaded.#vectors.get(name) ?? null : null;
  }

  /** The parameter of a tensor that is trained, loaded from `source`; null for a frozen one. */
  #parameter(name: string, shape: readonly number[], source = name): Parameter | null {
    const parameterName = this.#tensors?.nameOf(name) ?? null;
    if (parameterName === null) return null;
    const parameter = this.#tensors!.pool.add(parameterName, shape);
    this.#trained.push({ source, parameter });
    return parameter;
  }
}
