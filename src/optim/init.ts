/**
 * Starting values of LoRA that are drawn: A random and, but for one of them, B·A zero, so that the first forward pass equals
 * the base model's. Those that are taken from the base are in `decomposed_init.ts`.
 *
 * @see Hu et al. 2021, arXiv:2106.09685, section 4.1.
 * @module
 */

import { fillUniform, normals, type RandomSource, streamOf } from "../random.ts";
import { householderQ } from "./orthogonal.ts";

/** How the update begins, by PEFT's names: true is Kaiming's uniform, false draws B too. */
export type DrawnInit = boolean | "gaussian" | "orthogonal";

/** What the values of a tensor follow from; not from the order in which tensors are made. */
export interface TensorDraw {
  readonly init: DrawnInit;
  /** Full name of the tensor in the adapter file. */
  readonly name: string;
  /** 0..2³²−1. */
  readonly seed: number;
}

/**
 * A [rank, inFeatures]:
 *
 *     true, false   U(-1/√inFeatures, 1/√inFeatures), which is Kaiming's uniform with a = √5
 *     gaussian      N(0, 1/rank²)
 *     orthogonal    (N·Q₀)ᵀ/10, N [inFeatures, rank/2] normal, Q₀ the rows 0, 2, … of an orthogonal matrix
 */
export function initialLoraA(
  { init, name, seed }: TensorDraw,
  rank: number,
  inFeatures: number,
): Float32Array<ArrayBuffer> {
  const source = { seed, stream: streamOf(name) };
  if (init === "gaussian") return Float32Array.from(normals(rank * inFeatures, source, 1 / rank));
  if (init === "orthogonal") return turned(orthogonalPart({ name, seed }, rank, inFeatures, 0), rank);
  return uniformWithin(1 / Math.sqrt(inFeatures), rank * inFeatures, source);
}

/**
 * B [outFeatures, rank]: zero, but
 *
 *     false        U(-1/√rank, 1/√rank), so that the first forward pass is not the base model's
 *     orthogonal   N·Q₁/10, Q₁ the rows 1, 3, … of the matrix that A has the others of: B·A is zero
 */
export function initialLoraB(
  { init, name, seed }: TensorDraw,
  outFeatures: number,
  rank: number,
): Float32Array<ArrayBuffer> {
  if (init === false) {
    return uniformWithin(1 / Math.sqrt(rank), outFeatures * rank, { seed, stream: streamOf(name) });
  }
  if (init === "orthogonal") return orthogonalPart({ name, seed }, rank, outFeatures, 1);
  return new Float32Array(outFeatures * rank);
}

function uniformWithin(bound: number, count: number, source: RandomSource): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  fillUniform(values, -bound, bound, source);
  return values;
}

/** N·Q/10 [features, rank], Q every second row from `first` on. */
function orthogonalPart(
  { name, seed }: Pick<TensorDraw, "name" | "seed">,
  rank: number,
  features: number,
  first: 0 | 1,
): Float32Array<ArrayBuffer> {
  const map = name.replace(/lora_[AB]\.weight$/, "orthogonal matrix"), half = rank / 2;
  const square = normals(rank * rank, { seed, stream: streamOf(map) });
  const columns = householderQ(
    Array.from({ length: rank }, (_, k) => square.slice(k * rank, (k + 1) * rank)),
  );
  const drawn = normals(features * half, { seed, stream: streamOf(name) });
  return Float32Array.from({ length: features * rank }, (_, i) => {
    const row = Math.floor(i / rank), column = columns[i % rank]!;
    let sum = 0;
    for (let h = 0; h < half; h++) sum += drawn[row * half + h]! * column[2 * h + first]!;
    return sum / 10;
  });
}

/** The transpose of a matrix of so many columns. */
function turned(values: Float32Array, cols: number): Float32Array<ArrayBuffer> {
  const rows = values.length / cols;
  return Float32Array.from(
    { length: values.length },
    (_, i) => values[(i % rows) * cols + Math.floor(i / rows)]!,
  );
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
  return Float32Array.from(normals(count, { seed, stream: streamOf(name) }, std));
}
