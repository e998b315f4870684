/**
 * Starts that take a part of the base weight W [out, in] into the update: s·B·A is that part, and the base is trained without
 * it.
 *
 *     pissa   A = √(S/s)·Uᵀ, B = V·√(S/s)   of the largest singular values, W ≈ V·S·Uᵀ
 *     olora   A = R, B = Q                  of the first columns of Q in W = Q·R
 *
 * @see Meng et al. 2024, arXiv:2404.02948, and Büyükakyüz 2024, arXiv:2406.01775.
 * @module
 */
import { type RandomSource, streamOf } from "../random.ts";
import { addTo, householderQ } from "./orthogonal.ts";
import { approximateSingularValues, largestSingularValues, type Matrix } from "./singular.ts";

/** PEFT's names; the number of iterations follows `pissa_niter_`. */
export type DecomposedInit = "pissa" | "olora" | `pissa_niter_${number}`;

/** A [rank, in] and B [out, rank]. */
export interface Factors {
  readonly loraA: Float32Array<ArrayBuffer>;
  readonly loraB: Float32Array<ArrayBuffer>;
}

/** Whether a start changes the base. */
export function isDecomposed(init: unknown): init is DecomposedInit {
  return typeof init === "string" && /^(pissa(_niter_\d+)?|olora)$/.test(init);
}

/**
 * The factors to start from. The same bits for the same weight, name and seed.
 *
 * @param name Module path of the map.
 */
export function decomposedFactors(
  init: DecomposedInit,
  matrix: Matrix,
  { rank, scaling, name, seed }: {
    readonly rank: number;
    readonly scaling: number;
    readonly name: string;
    readonly seed: number;
  },
): Factors {
  if (init === "olora") return oloraFactors(matrix, rank);
  const source: RandomSource = { seed, stream: streamOf(`${name} pissa`) };
  const iterations = /\d+$/.exec(init)?.[0];
  const { values, left, right } = iterations === undefined
    ? largestSingularValues(matrix, rank, source)
    : approximateSingularValues(matrix, rank, Number(iterations), source);
  const roots = values.map((value) => Math.sqrt(value / scaling));
  const scaled = (vectors: readonly Float64Array[]) =>
    vectors.map((vector, k) => vector.map((value) => roots[k]! * value));
  return fromVectors(matrix, scaled(right), scaled(left));
}

function oloraFactors(matrix: Matrix, rank: number): Factors {
  const { rows, cols, values } = matrix;
  const columns = Array.from(
    { length: rank },
    (_, k) => Float64Array.from({ length: rows }, (_, i) => values[i * cols + k]!),
  );
  const q = householderQ(columns);
  const r = q.map((column) => {
    const row = new Float64Array(cols);
    for (let i = 0; i < rows; i++) {
      addTo(row, column[i]!, values.subarray(i * cols, (i + 1) * cols));
    }
    return row;
  });
  return fromVectors(matrix, r, q);
}

/** A from its rows, B from its columns. */
function fromVectors(
  { rows, cols }: Matrix,
  a: readonly Float64Array[],
  b: readonly Float64Array[],
): Factors {
  const rank = a.length, loraA = new Float32Array(rank * cols), loraB = new Float32Array(rows * rank);
  a.forEach((row, k) => loraA.set(row, k * cols));
  b.forEach((column, k) => column.forEach((value, i) => loraB[i * rank + k] = value));
  return { loraA, loraB };
}
