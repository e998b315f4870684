import { permutation, STREAM } from "../random.ts";

/** How examples are grouped. */
export interface SamplerOptions {
  /** Number of examples. */
  readonly examples: number;
  /** Examples of a micro-batch. */
  readonly batchSize: number;
  /** Micro-batches of an optimizer step; default 1. */
  readonly gradientAccumulationSteps?: number;
  readonly seed: number;
  /** Whether each epoch has its own order; default true. */
  readonly shuffle?: boolean;
}

/**
 * Which examples each optimizer step sees: a pure function of the step, so a resumed run needs no state.
 *
 * An epoch's order is drawn from (seed, epoch). It is cut into micro-batches of `batchSize`, the last of which may be
 * short, and these into steps of `gradientAccumulationSteps`, the last of which may be short too: as transformers'
 * `Trainer` counts them, ceil(ceil(examples / batchSize) / gradientAccumulationSteps) steps an epoch.
 */
export class EpochSampler {
  readonly stepsPerEpoch: number;
  readonly #options: Required<SamplerOptions>;
  #order: { readonly epoch: number; readonly indices: Uint32Array } | null = null;

  /** @throws {RangeError} If a number is not a positive integer. */
  constructor(options: SamplerOptions) {
    this.#options = { gradientAccumulationSteps: 1, shuffle: true, ...options };
    const { examples, batchSize, gradientAccumulationSteps } = this.#options;
    for (const [name, value] of Object.entries({ examples, batchSize, gradientAccumulationSteps })) {
      if (!Number.isInteger(value) || value < 1) {
        throw new RangeError(`Cannot sample with ${name} ${value}: it must be a positive integer`);
      }
    }
    this.stepsPerEpoch = Math.ceil(Math.ceil(examples / batchSize) / gradientAccumulationSteps);
  }

  /**
   * Optimizer steps of a run.
   *
   * @param epochs May be fractional; the last step is then rounded up.
   * @param maxSteps If positive, this many, whatever `epochs` is.
   */
  totalSteps(epochs: number, maxSteps = -1): number {
    return maxSteps > 0 ? maxSteps : Math.ceil(epochs * this.stepsPerEpoch);
  }

  /**
   * Epochs done after this many optimizer steps, as transformers logs them: by micro-batches, so that a short last
   * step counts for less.
   */
  epochAfter(steps: number): number {
    const { examples, batchSize, gradientAccumulationSteps } = this.#options;
    const microBatches = Math.ceil(examples / batchSize);
    const inEpoch = (steps % this.stepsPerEpoch) * gradientAccumulationSteps;
    return Math.floor(steps / this.stepsPerEpoch) + inEpoch / microBatches;
  }

  /**
   * Example indices of each micro-batch of an optimizer step.
   *
   * @param step From 0, counted on across epochs.
   */
  microBatches(step: number): number[][] {
    const { examples, batchSize, gradientAccumulationSteps } = this.#options;
    const order = this.#orderOf(Math.floor(step / this.stepsPerEpoch));
    const first = (step % this.stepsPerEpoch) * gradientAccumulationSteps;
    const last = Math.min(first + gradientAccumulationSteps, Math.ceil(examples / batchSize));
    return Array.from(
      { length: last - first },
      (_, i) => [...order.subarray((first + i) * batchSize, (first + i + 1) * batchSize)],
    );
  }

  #orderOf(epoch: number): Uint32Array {
    const { examples, seed, shuffle } = this.#options;
    if (this.#order?.epoch !== epoch) {
      const indices = shuffle
        ? permutation(examples, { seed, stream: STREAM.shuffle, sequence: epoch })
        : Uint32Array.from({ length: examples }, (_, i) => i);
      this.#order = { epoch, indices };
    }
    return this.#order.indices;
  }
}
