/**
 * All trainable parameters in a few large buffers: values, gradients and moments lie at the same offsets, so that
 * clearing, norm and optimizer are one dispatch each for the whole model.
 *
 * @module
 */
import { GpuMemoryError } from "../errors.ts";
import { type Gpu, maxBindingBytes } from "../gpu/device.ts";
import { BufferUsage } from "../gpu/usage.ts";
import { type Tensor, tensor } from "../tensor.ts";

/** Storage bindings start at multiples of this, WebGPU's default limit. */
const ALIGNMENT_BYTES = 256;
/** Groups of four values that surely belong to one parameter, padding included, wherever one starts. */
export const ALIGNED_VECTORS = ALIGNMENT_BYTES / 16;

/** A trainable tensor and its gradient. */
export interface Parameter {
  readonly name: string;
  readonly value: Tensor;
  readonly grad: Tensor;
}

/** One set of equally laid out buffers. */
export interface PoolChunk {
  readonly bytes: number;
  readonly values: Tensor;
  readonly grads: Tensor;
  /** Moments of the optimizer, f32 whatever the values' type; null for those that it does not keep. */
  readonly m: Tensor | null;
  readonly v: Tensor | null;
}

/** What the pool holds of each parameter. */
export type PoolPart = "values" | "grads" | "m" | "v";

/** Moments by how many an optimizer keeps. */
const MOMENTS = [[], ["m"], ["m", "v"]] as const satisfies readonly (readonly PoolPart[])[];

/** How many moments of each parameter an optimizer keeps. */
export type MomentCount = 0 | 1 | 2;

/** Collects parameters, then allocates them together. */
export class ParameterPool {
  readonly parameters: Parameter[] = [];
  /** Set before {@link allocate}. */
  momentCount: MomentCount = 2;
  readonly #gpu: Gpu;
  readonly #places: { chunk: number; offset: number }[] = [];
  readonly #chunkBytes: number[] = [];
  #chunks: PoolChunk[] = [];
  #version = 0;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Adds a parameter; it has no memory before {@link allocate}. */
  add(name: string, shape: readonly number[]): Parameter {
    const parameter = { name, value: tensor(name, shape), grad: tensor(`${name} gradient`, shape) };
    const padded = Math.ceil(parameter.value.bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    const limit = maxBindingBytes(this.#gpu);
    if (padded > limit) {
      throw new GpuMemoryError(
        `Cannot train "${name}" as it needs ${padded} bytes and "${this.#gpu.name}" binds ${limit}`,
      );
    }
    if (this.#chunkBytes.length === 0 || this.#chunkBytes.at(-1)! + padded > limit) this.#chunkBytes.push(0);
    const chunk = this.#chunkBytes.length - 1;
    this.#places.push({ chunk, offset: this.#chunkBytes[chunk]! });
    this.#chunkBytes[chunk]! += padded;
    this.parameters.push(parameter);
    return parameter;
  }

  /** The moments that are kept. */
  get moments(): readonly ("m" | "v")[] {
    return MOMENTS[this.momentCount];
  }

  /** Bytes of the values alone; gradients and each of the moments take as much. */
  get bytes(): number {
    return this.#chunkBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Number of trained values, padding left out. */
  get size(): number {
    return this.parameters.reduce((sum, { value }) => sum + value.bytes / 4, 0);
  }

  /** Another number each time that values have changed. */
  get version(): number {
    return this.#version;
  }

  /** To be told by whoever changes values on the GPU. */
  changed(): void {
    this.#version++;
  }

  get chunks(): readonly PoolChunk[] {
    return this.#chunks;
  }

  /** Takes the memory, all zero, and gives every parameter its place. */
  allocate(): void {
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    const whole = (label: string, bytes: number): Tensor => {
      const buffer = this.#gpu.device.createBuffer({ label, size: bytes, usage });
      return Object.assign(tensor(label, [bytes / 4]), { buffer });
    };
    this.#chunks = this.#chunkBytes.map((bytes) => ({
      bytes,
      values: whole("parameters", bytes),
      grads: whole("gradients", bytes),
      m: this.momentCount > 0 ? whole("first moments", bytes) : null,
      v: this.momentCount > 1 ? whole("second moments", bytes) : null,
    }));
    this.parameters.forEach(({ value, grad }, i) => {
      const { chunk, offset } = this.#places[i]!;
      Object.assign(value, { buffer: this.#chunks[chunk]!.values.buffer, offset });
      Object.assign(grad, { buffer: this.#chunks[chunk]!.grads.buffer, offset });
    });
  }

  /** A number of each parameter, for every {@link ALIGNED_VECTORS} of each chunk; padding has its parameter's. */
  perVectors(numberOf: (parameter: Parameter) => number): Float32Array<ArrayBuffer>[] {
    const numbers = this.#chunkBytes.map((bytes) => new Float32Array(bytes / ALIGNMENT_BYTES));
    this.parameters.forEach((parameter, i) => {
      const { chunk, offset } = this.#places[i]!, first = offset / ALIGNMENT_BYTES;
      const count = Math.ceil(parameter.value.bytes / ALIGNMENT_BYTES);
      numbers[chunk]!.fill(numberOf(parameter), first, first + count);
    });
    return numbers;
  }

  /** Uploads the values (or moments) of one parameter. */
  write(parameter: Parameter, values: Float32Array<ArrayBuffer>, which: PoolPart = "values"): void {
    const { name, value } = parameter;
    if (values.byteLength !== value.bytes) {
      throw new RangeError(
        `Cannot set "${name}" [${value.shape}] from ${values.length} values: ${value.bytes / 4} are wanted`,
      );
    }
    const { chunk, offset } = this.#places[this.parameters.indexOf(parameter)]!;
    this.#gpu.device.queue.writeBuffer(this.#partOf(this.#chunks[chunk]!, which).buffer!, offset, values);
    if (which === "values") this.changed();
  }

  /** Reads values (or gradients, or moments) of every parameter back, by name. */
  async read(which: PoolPart = "values"): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const chunks: ArrayBuffer[] = [];
    for (const chunk of this.#chunks) {
      chunks.push(await this.#gpu.read(this.#partOf(chunk, which).buffer!, 0, chunk.bytes));
    }
    return new Map(this.parameters.map(({ name, value }, i) => {
      const { chunk, offset } = this.#places[i]!;
      return [name, new Float32Array(chunks[chunk]!.slice(offset, offset + value.bytes))];
    }));
  }

  destroy(): void {
    for (const { values, grads, m, v } of this.#chunks) {
      for (const part of [values, grads, m, v]) part?.buffer?.destroy();
    }
  }

  #partOf(chunk: PoolChunk, which: PoolPart): Tensor {
    const part = chunk[which];
    if (part) return part;
    throw new RangeError(`Cannot reach moments "${which}" as the optimizer keeps ${this.momentCount}`);
  }
}
