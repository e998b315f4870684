/**
 * Dropout by address: which elements are left out follows from seed, step, tensor and element alone.
 *
 * @see Srivastava et al. 2014, Journal of Machine Learning Research 15.
 * @module
 */
import { defineKernel, foldGrid, read, write } from "../../src/gpu/kernel.ts";
import threefryText from "../lib/threefry.wgsl" with { type: "text" };
import { writeTokenRows } from "../lib/token_rows.ts";
import applyText from "./apply.wgsl" with { type: "text" };

/** What a micro-batch's draws follow from, beside the stream of each tensor. */
export interface DropoutNumbers {
  readonly seed: number;
  /** Optimizer step, from 1. */
  readonly step: number;
  /** Tokens of the step before this micro-batch. */
  readonly firstToken: number;
  /** [rows]: real tokens of each row. */
  readonly lengths: Uint32Array;
}

/** Length of the numbers' buffer for so many rows. */
export const dropoutSize = (rows: number) => 2 + 2 * rows;

/** Numbers in the order in which the kernel reads them. */
export function dropoutNumbers(
  { seed, step, firstToken, lengths }: DropoutNumbers,
): Uint32Array<ArrayBuffer> {
  const numbers = new Uint32Array(dropoutSize(lengths.length));
  numbers.set([seed, step]);
  writeTokenRows(numbers.subarray(dropoutSize(0)), lengths, firstToken);
  return numbers;
}

/** A draw of 24 bits below `threshold` leaves an element out; the others are multiplied by `scale`. */
export function dropoutParams(rate: number): { readonly threshold: number; readonly scale: number } {
  return { threshold: Math.round(rate * 2 ** 24), scale: 1 / (1 - rate) };
}

/** y [tokens, cols] (+)= what is kept of x, rows of `row_length` tokens. */
export const applyDropout = defineKernel({
  name: "dropout",
  source: applyText,
  lib: [threefryText],
  bindings: { y: write(), x: read(), numbers: read("u32") },
  params: {
    tokens: "u32",
    cols: "u32",
    row_length: "u32",
    stream: "u32",
    threshold: "u32",
    scale: "f32",
  },
  constants: { WORKGROUP_SIZE: 64, ACCUMULATE: 0 },
  grid: ({ tokens, cols }, { WORKGROUP_SIZE }) =>
    foldGrid(Math.ceil(tokens * Math.ceil(cols / 2) / WORKGROUP_SIZE)),
  iterations: () => 20,
});
