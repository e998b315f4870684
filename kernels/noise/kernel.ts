/**
 * NEFTune's noise on embedded tokens (Jain et al. 2023, arXiv:2310.05914).
 *
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import threefryText from "../lib/threefry.wgsl" with { type: "text" };
import { writeTokenRows } from "../lib/token_rows.ts";
import addText from "./add.wgsl" with { type: "text" };

/** What the noise of a micro-batch follows from. */
export interface NoiseNumbers {
  readonly seed: number;
  /** Of `streamOf()`. */
  readonly stream: number;
  /** Optimizer step, from 1. */
  readonly step: number;
  /** `neftune_noise_alpha` */
  readonly alpha: number;
  /** Tokens of the step before this micro-batch. */
  readonly firstToken: number;
  /** [rows]: real tokens of each row. */
  readonly lengths: Uint32Array;
}

/** Length of the numbers' buffer for so many rows. */
export const noiseSize = (rows: number) => 4 + 2 * rows;

/** Numbers in the order in which the kernel reads them. */
export function noiseNumbers(
  { seed, stream, step, alpha, firstToken, lengths }: NoiseNumbers,
): Uint32Array<ArrayBuffer> {
  const numbers = new Uint32Array(noiseSize(lengths.length));
  numbers.set([seed, stream, step]);
  new Float32Array(numbers.buffer)[3] = alpha;
  writeTokenRows(numbers.subarray(noiseSize(0)), lengths, firstToken);
  return numbers;
}

/** Adds noise to x [tokens, cols], rows of `row_length` tokens. */
export const addNoise = defineKernel({
  name: "noise",
  source: addText,
  lib: [threefryText],
  bindings: { x: write(), noise: read("u32") },
  params: { tokens: "u32", cols: "u32", row_length: "u32" },
  constants: { WORKGROUP_SIZE: 64 },
  grid: ({ tokens, cols }, { WORKGROUP_SIZE }) =>
    foldGrid(Math.ceil(tokens * Math.ceil(cols / 2) / WORKGROUP_SIZE)),
  iterations: () => 20,
});
