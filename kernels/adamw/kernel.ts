/**
 * AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) as PyTorch computes it.
 *
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import stepText from "./step.wgsl" with { type: "text" };

/** Hyper-parameters of one step. */
export interface AdamwStep {
  /** Learning rate of this step. */
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Steps done including this one, from 1; moments are corrected by it. */
  readonly step: number;
}

/** Numbers in the order in which the kernel reads them, computed in f64 and rounded once. */
export function adamwNumbers(
  { learningRate, weightDecay, beta1, beta2, epsilon, step }: AdamwStep,
): Float32Array<ArrayBuffer> {
  return Float32Array.of(
    learningRate * weightDecay,
    beta1,
    1 - beta1,
    beta2,
    1 - beta2,
    learningRate / (1 - beta1 ** step),
    Math.sqrt(1 - beta2 ** step),
    epsilon,
  );
}

/** Length of the numbers' buffer. */
export const ADAMW_NUMBERS = 8;

/**
 * Updates parameters and moments of a pool in place; `vectors` counts groups of four. Learning rate and decay of every
 * RATE_VECTORS of them are multiplied by one of `rates`.
 */
export const adamwUpdate = defineKernel({
  name: "adamw",
  source: stepText,
  bindings: {
    p: write(),
    m: write(),
    v: write(),
    grads: read(),
    totals: read(),
    flags: read("u32"),
    numbers: read(),
    rates: read(),
  },
  params: { vectors: "u32" },
  constants: { WORKGROUP_SIZE: 64, VECTORS: 4, RATE_VECTORS: 16 },
  grid: ({ vectors }, { WORKGROUP_SIZE, VECTORS }) =>
    foldGrid(Math.ceil(vectors / (WORKGROUP_SIZE * VECTORS))),
});
