/**
 * Rotary position embedding: the angles by which query and key pairs are turned.
 *
 *     inv_i     = theta^(-2i/D),  i in 0..D/2-1
 *     angle_t,i = t·inv_i
 *
 * Llama 3.1 stretches slow frequencies for long contexts. With wavelength λ_i = 2π/inv_i and context L before:
 *
 *     λ_i < L/high   inv_i
 *     λ_i > L/low    inv_i / factor
 *     between        (1-s)·inv_i/factor + s·inv_i,   s = (L/λ_i - low) / (high - low)
 *
 * Pair i of a head is elements (i, i + D/2): the halves layout of Hugging Face, not interleaved pairs.
 *
 * @see Su et al. 2021, arXiv:2104.09864, section 3.2.2.
 * @module
 */

import type { ModelConfig, RopeScaling } from "./config.ts";

/** The part of a model's config that decides the angles. */
export type RopeConfig = Pick<ModelConfig, "headDim" | "ropeTheta" | "ropeScaling">;

/** Frequencies of the pairs of a head, radians per position: [headDim / 2], scaled as the config says. */
export function inverseFrequencies(
  { headDim, ropeTheta, ropeScaling }: RopeConfig,
): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = ropeTheta ** (-2 * i / headDim);
    return ropeScaling.type === "llama3" ? stretched(frequency, ropeScaling) : frequency;
  });
}

function stretched(frequency: number, scaling: Extract<RopeScaling, { type: "llama3" }>): number {
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings } = scaling;
  const turns = originalMaxPositionEmbeddings * frequency / (2 * Math.PI); // L/λ
  if (turns > high) return frequency;
  if (turns < low) return frequency / factor;
  const s = (turns - low) / (high - low);
  return (1 - s) * frequency / factor + s * frequency;
}

/**
 * cos and sin of the angles of positions 0..length-1, each [length, headDim / 2].
 *
 * Angles are computed in f64 and the result is rounded once. PyTorch multiplies in f32, where the angle of
 * position t is off by up to 6e-8·t radians: these tables are the more exact ones.
 */
export function ropeTables(
  config: RopeConfig,
  length: number,
): { readonly cos: Float32Array<ArrayBuffer>; readonly sin: Float32Array<ArrayBuffer> } {
  const frequencies = inverseFrequencies(config);
  const pairs = frequencies.length;
  const cos = new Float32Array(length * pairs);
  const sin = new Float32Array(length * pairs);
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < pairs; i++) {
      const angle = position * frequencies[i]!;
      cos[position * pairs + i] = Math.cos(angle);
      sin[position * pairs + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
