/**
 * Clipping by the global norm and AdamW over all pooled parameters: a handful of dispatches for the whole model.
 *
 * @see Loshchilov & Hutter 2019, arXiv:1711.05101.
 * @module
 */
import { ADAMW_NUMBERS, adamwNumbers, type AdamwStep, adamwUpdate } from "../../kernels/adamw/kernel.ts";
import { gradNormFinish, gradNormPartial, PARTIALS } from "../../kernels/grad_norm/kernel.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Program, ProgramResources } from "../gpu/program.ts";
import { Recorder } from "../gpu/recorder.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { ParameterPool } from "../nn/parameter_pool.ts";
import { type Tensor, tensorAt } from "../tensor.ts";

const BYTES_PER_VECTOR = 16;

/** Hyper-parameters that stay the same through a run. */
export interface AdamwConfig {
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Gradients are scaled down to this global norm; 0 clips nothing. */
  readonly maxGradNorm: number;
}

export class AdamW {
  readonly #gpu: Gpu;
  readonly #program: Program;
  readonly #numbers: GPUBuffer;
  readonly #config: AdamwConfig;

  private constructor(gpu: Gpu, program: Program, numbers: GPUBuffer, config: AdamwConfig) {
    this.#gpu = gpu;
    this.#program = program;
    this.#numbers = numbers;
    this.#config = config;
  }

  /** Starts with moments of zero. `totals` and `flags` are those of the loss, see `LossSinks`. The pool must be allocated. */
  static async create(
    resources: ProgramResources,
    pool: ParameterPool,
    { totals, flags }: { totals: Tensor; flags: Tensor },
    config: AdamwConfig,
  ): Promise<AdamW> {
    const { gpu } = resources;
    const numbers = gpu.device.createBuffer({
      label: "adamw numbers",
      size: 4 * ADAMW_NUMBERS,
      usage: BufferUsage.STORAGE | BufferUsage.COPY_DST,
    });
    const numbersTensor = tensorAt("adamw numbers", [ADAMW_NUMBERS], numbers);
    const run = new Recorder("optimizer", resources);
    const partials = run.tensor("squared gradient sums", [PARTIALS * pool.chunks.length]);
    pool.chunks.forEach(({ grads, bytes }, i) => {
      const sizes = { vectors: bytes / BYTES_PER_VECTOR, first_partial: i * PARTIALS };
      run.dispatch(gradNormPartial, { partials, flags, grads }, sizes);
    });
    const count = PARTIALS * pool.chunks.length;
    run.dispatch(gradNormFinish, { totals, flags, partials }, { count, max_norm: config.maxGradNorm });
    for (const { values, grads, m, v, bytes } of pool.chunks) {
      const bound = { p: values, m, v, grads, totals, flags, numbers: numbersTensor };
      run.dispatch(adamwUpdate, bound, { vectors: bytes / BYTES_PER_VECTOR });
    }
    const program = await run.build();
    const encoder = gpu.device.createCommandEncoder();
    for (const { m, v } of pool.chunks) for (const { buffer } of [m, v]) encoder.clearBuffer(buffer!);
    gpu.device.queue.submit([encoder.finish()]);
    return new AdamW(gpu, program, numbers, config);
  }

  /** Submits one update with this learning rate. `step` counts from 1. Where a value is not finite nothing changes. */
  step(step: number, learningRate: number): void {
    const numbers: AdamwStep = { ...this.#config, learningRate, step };
    this.#gpu.device.queue.writeBuffer(this.#numbers, 0, adamwNumbers(numbers));
    this.#program.run();
  }
}
