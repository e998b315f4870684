/**
 * AdamW over all pooled parameters.
 *
 * @see Loshchilov & Hutter 2019, arXiv:1711.05101.
 * @module
 */
import { ADAMW_NUMBERS, adamwNumbers, adamwUpdate } from "../../kernels/adamw/kernel.ts";
import type { ProgramResources } from "../gpu/program.ts";
import { ALIGNED_VECTORS, type ParameterPool } from "../nn/parameter_pool.ts";
import { PoolUpdate, type RateOf, type UpdateSinks } from "./pool_update.ts";

/** Hyper-parameters that stay the same through a run. */
export interface AdamwConfig {
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Gradients are scaled down to this global norm; 0 clips nothing. */
  readonly maxGradNorm: number;
  /** What a parameter's learning rate is multiplied by; default 1. */
  readonly rateOf?: RateOf | undefined;
}

export class AdamW {
  readonly #update: PoolUpdate;
  readonly #config: AdamwConfig;

  private constructor(update: PoolUpdate, config: AdamwConfig) {
    this.#update = update;
    this.#config = config;
  }

  /** Starts with moments of zero. The pool must be allocated. */
  static async create(
    resources: ProgramResources,
    pool: ParameterPool,
    sinks: UpdateSinks,
    config: AdamwConfig,
  ): Promise<AdamW> {
    const { totals, flags } = sinks, constants = { ...adamwUpdate.constants, RATE_VECTORS: ALIGNED_VECTORS };
    const update = await PoolUpdate.create(resources, pool, sinks, {
      name: "adamw",
      numbers: ADAMW_NUMBERS,
      maxGradNorm: config.maxGradNorm,
      rateOf: config.rateOf ?? (() => 1),
      record: (run, { values, grads, m, v }, numbers, rates, vectors) =>
        run.dispatch(
          adamwUpdate,
          { p: values, m: m!, v: v!, grads, totals, flags, numbers, rates },
          { vectors },
          constants,
        ),
    });
    return new AdamW(update, config);
  }

  /** Submits one update with this learning rate. `step` counts from 1. Where a value is not finite nothing changes. */
  step(step: number, learningRate: number): void {
    this.#update.run(adamwNumbers({ ...this.#config, learningRate, step }));
  }
}
