/**
 * Stochastic gradient descent with momentum over all pooled parameters. Momentum lies where AdamW keeps its first moments.
 *
 * @see Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
 * @module
 */
import { SGD_NUMBERS, sgdNumbers, sgdUpdate } from "../../kernels/sgd/kernel.ts";
import type { ProgramResources } from "../gpu/program.ts";
import { ALIGNED_VECTORS, type ParameterPool } from "../nn/parameter_pool.ts";
import { PoolUpdate, type RateOf, type UpdateSinks } from "./pool_update.ts";

/** Hyper-parameters that stay the same through a run. */
export interface SgdConfig {
  /** Added to the gradient, as torch does: not decoupled. */
  readonly weightDecay: number;
  /** 0 for none. */
  readonly momentum: number;
  /** Whether the gradient is taken where momentum leads. */
  readonly nesterov: boolean;
  /** Gradients are scaled down to this global norm; 0 clips nothing. */
  readonly maxGradNorm: number;
  /** What a parameter's learning rate is multiplied by; default 1. */
  readonly rateOf?: RateOf | undefined;
}

export class Sgd {
  readonly #update: PoolUpdate;
  readonly #config: SgdConfig;

  private constructor(update: PoolUpdate, config: SgdConfig) {
    this.#update = update;
    this.#config = config;
  }

  /** Starts without momentum. The pool must be allocated. */
  static async create(
    resources: ProgramResources,
    pool: ParameterPool,
    sinks: UpdateSinks,
    config: SgdConfig,
  ): Promise<Sgd> {
    const { totals, flags } = sinks;
    const constants = {
      ...sgdUpdate.constants,
      RATE_VECTORS: ALIGNED_VECTORS,
      NESTEROV: config.nesterov ? 1 : 0,
    };
    const update = await PoolUpdate.create(resources, pool, sinks, {
      name: "sgd",
      numbers: SGD_NUMBERS,
      maxGradNorm: config.maxGradNorm,
      rateOf: config.rateOf ?? (() => 1),
      record: (run, { values, grads, m }, numbers, rates, vectors) =>
        run.dispatch(
          sgdUpdate,
          { p: values, m: m!, grads, totals, flags, numbers, rates },
          { vectors },
          constants,
        ),
    });
    return new Sgd(update, config);
  }

  /** Submits one update with this learning rate. Where a value is not finite nothing changes. */
  step(_step: number, learningRate: number): void {
    this.#update.run(sgdNumbers({ ...this.#config, learningRate }));
  }
}
