/**
 * Stochastic gradient descent with momentum (Sutskever et al. 2013) as PyTorch computes it.
 *
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import stepText from "./step.wgsl" with { type: "text" };

/** Hyper-parameters of one step. */
export interface SgdStep {
  /** Learning rate of this step. */
  readonly learningRate: number;
  /** Added to the gradient as weightDecay·p: not decoupled. */
  readonly weightDecay: number;
  /** mu; 0 for none. */
  readonly momentum: number;
}

/** Numbers in the order in which the kernel reads them. */
export function sgdNumbers({ learningRate, weightDecay, momentum }: SgdStep): Float32Array<ArrayBuffer> {
  return Float32Array.of(learningRate, weightDecay, momentum);
}

/** Length of the numbers' buffer. */
export const SGD_NUMBERS = 3;

/**
 * Updates parameters and momentum of a pool in place; `vectors` counts groups of four. The learning rate of every
 * RATE_VECTORS of them is multiplied by one of `rates`.
 */
export const sgdUpdate = defineKernel({
  name: "sgd",
  source: stepText,
  bindings: {
    p: write(),
    m: write(),
    grads: read(),
    totals: read(),
    flags: read("u32"),
    numbers: read(),
    rates: read(),
  },
  params: { vectors: "u32" },
  constants: { WORKGROUP_SIZE: 64, VECTORS: 4, RATE_VECTORS: 16, NESTEROV: 0 },
  grid: ({ vectors }, { WORKGROUP_SIZE, VECTORS }) =>
    foldGrid(Math.ceil(vectors / (WORKGROUP_SIZE * VECTORS))),
});
