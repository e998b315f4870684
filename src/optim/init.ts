/**
 * Starting values of LoRA: A random, B zero, so that the first forward pass equals the base model's.
 *
 * @see Hu et al. 2021, arXiv:2106.09685, section 4.1.
 * @module
 */

import { fillUniform, streamOf } from "../random.ts";

/**
 * A [rank, inFeatures], drawn from U(-1/√inFeatures, 1/√inFeatures): PEFT's default, which is Kaiming's uniform
 * with a = √5. The values follow from seed and name alone, not from the order in which tensors are made.
 *
 * @param name Full name of the tensor in the adapter file.
 * @param seed 0..2³²−1.
 */
export function initialLoraA(
  name: string,
  rank: number,
  inFeatures: number,
  seed: number,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(rank * inFeatures);
  const bound = 1 / Math.sqrt(inFeatures);
  fillUniform(values, -bound, bound, { seed, stream: streamOf(name) });
  return values;
}

/** B [outFeatures, rank], all zero. */
export function initialLoraB(outFeatures: number, rank: number): Float32Array<ArrayBuffer> {
  return new Float32Array(outFeatures * rank);
}

/**
 * A weight to train from scratch: ones for a norm ([n]), and for a matrix draws from N(0, std²) by seed and name
 * (Box and Muller), as Hugging Face initialises Llama.
 */
export function initialWeight(
  name: string,
  shape: readonly number[],
  std: number,
  seed: number,
): Float32Array<ArrayBuffer> {
  const count = shape.reduce((product, size) => product * size, 1);
  if (shape.length === 1) return new Float32Array(count).fill(1);
  const uniforms = new Float32Array(2 * count);
  fillUniform(uniforms, 0, 1, { seed, stream: streamOf(name) });
  return Float32Array.from({ length: count }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniforms[2 * i]!));
    return std * radius * Math.cos(2 * Math.PI * uniforms[2 * i + 1]!);
  });
}
