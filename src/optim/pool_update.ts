/**
 * What every optimizer does with the pooled gradients: clipping by the global norm, then one update kernel a chunk, a
 * handful of dispatches for the whole model.
 *
 * @module
 */
import { gradNormFinish, gradNormPartial, PARTIALS } from "../../kernels/grad_norm/kernel.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Program, ProgramResources } from "../gpu/program.ts";
import { Recorder } from "../gpu/recorder.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { Parameter, ParameterPool, PoolChunk } from "../nn/parameter_pool.ts";
import { type Tensor, tensorAt } from "../tensor.ts";

const BYTES_PER_VECTOR = 16;

/** Totals and flags of the loss, see `LossSinks`. */
export interface UpdateSinks {
  readonly totals: Tensor;
  readonly flags: Tensor;
}

/** What a parameter's learning rate is multiplied by. */
export type RateOf = (parameter: Parameter) => number;

/** An optimizer's own part. */
export interface PoolUpdateSpec {
  readonly name: string;
  /** Length of the buffer with the step's numbers. */
  readonly numbers: number;
  /** Gradients are scaled down to this global norm; 0 clips nothing. */
  readonly maxGradNorm: number;
  /** What a parameter's learning rate is multiplied by. */
  readonly rateOf: RateOf;
  /** Records the update of one chunk of so many groups of four. `rates` has one number for every `ALIGNED_VECTORS`. */
  readonly record: (run: Recorder, chunk: PoolChunk, numbers: Tensor, rates: Tensor, vectors: number) => void;
}

export class PoolUpdate {
  readonly #gpu: Gpu;
  readonly #program: Program;
  readonly #numbers: GPUBuffer;
  readonly #pool: ParameterPool;

  private constructor(gpu: Gpu, pool: ParameterPool, program: Program, numbers: GPUBuffer) {
    this.#gpu = gpu;
    this.#pool = pool;
    this.#program = program;
    this.#numbers = numbers;
  }

  /** Starts with moments of zero. The pool must be allocated. */
  static async create(
    resources: ProgramResources,
    pool: ParameterPool,
    { totals, flags }: UpdateSinks,
    spec: PoolUpdateSpec,
  ): Promise<PoolUpdate> {
    const { device } = resources.gpu;
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST;
    const held = (what: string, count: number) => {
      const label = `${spec.name} ${what}`;
      return tensorAt(label, [count], device.createBuffer({ label, size: 4 * count, usage }));
    };
    const numbers = held("numbers", spec.numbers);
    const rates = pool.perVectors(spec.rateOf).map((values) => {
      const tensor = held("rates", values.length);
      device.queue.writeBuffer(tensor.buffer!, 0, values);
      return tensor;
    });
    const run = new Recorder("optimizer", resources);
    const count = PARTIALS * pool.chunks.length;
    const partials = run.tensor("squared gradient sums", [count]);
    pool.chunks.forEach(({ grads, bytes }, i) => {
      const sizes = { vectors: bytes / BYTES_PER_VECTOR, first_partial: i * PARTIALS };
      run.dispatch(gradNormPartial, { partials, flags, grads }, sizes);
    });
    run.dispatch(gradNormFinish, { totals, flags, partials }, { count, max_norm: spec.maxGradNorm });
    pool.chunks.forEach((chunk, i) => {
      spec.record(run, chunk, numbers, rates[i]!, chunk.bytes / BYTES_PER_VECTOR);
    });
    const program = await run.build();
    const encoder = device.createCommandEncoder();
    for (const { m, v } of pool.chunks) {
      for (const moments of [m, v]) if (moments) encoder.clearBuffer(moments.buffer!);
    }
    device.queue.submit([encoder.finish()]);
    return new PoolUpdate(resources.gpu, pool, program, numbers.buffer!);
  }

  /** Submits one update. Where a value is not finite nothing changes. */
  run(numbers: Float32Array<ArrayBuffer>): void {
    this.#gpu.device.queue.writeBuffer(this.#numbers, 0, numbers);
    this.#program.run();
    this.#pool.changed();
  }
}
