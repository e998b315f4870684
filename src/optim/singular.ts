/**
 * The largest singular values of a matrix and their vectors, in f64: Σ σᵢ·leftᵢ·rightᵢᵀ is the nearest matrix of that rank.
 *
 * A block Krylov basis Q of the smaller side grows until the singular values of QQᵀ·W stand (Golub, Luk and Overton 1981),
 * which for a handful of values costs far less than decomposing the whole matrix.
 *
 * @module
 */
import { normals, type RandomSource } from "../random.ts";
import { addTo, dot, orthonormal, removeFrom } from "./orthogonal.ts";
import { symmetricEigen } from "./symmetric_eigen.ts";

/** A [rows, cols] matrix, row-major. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
}

/** The largest singular values, largest first. A vector that belongs to none, of a value of 0, is 0. */
export interface SingularValues {
  readonly values: Float64Array;
  /** As long as the matrix is high. */
  readonly left: readonly Float64Array[];
  readonly right: readonly Float64Array[];
}

/** What is left of Wᵀ·W·x − σ²·x, as a share of the largest σ²: values are right to the square of it, in f64. */
const TOLERANCE = 1e-6;
/** Vectors of a block beyond those that are looked for. */
const MORE = 4;
/** Of the largest σ²: below it a direction is rounding. */
const NOTHING = 1e-14;

type Vectors = readonly Float64Array[];

/**
 * The `count` largest, to rounding.
 *
 * @param source Where the basis starts; the result does not depend on it, but for signs and rounding.
 */
export function largestSingularValues(matrix: Matrix, count: number, source: RandomSource): SingularValues {
  const { small, up, down } = sides(matrix), basis: Float64Array[] = [], images: Float64Array[] = [];
  const products: Float64Array[] = [];
  let block: Vectors = orthonormal(randomVectors(Math.min(small, count + MORE), small, source), NOTHING);
  let nextLook = 0;
  while (true) {
    const made = up(block);
    for (const image of made) {
      images.push(image);
      products.push(Float64Array.from(images, (other) => dot(image, other)));
    }
    basis.push(...block);
    const rest = down(made);
    removeFrom(rest, basis);
    block = orthonormal(rest, NOTHING * products[0]![0]!).slice(0, small - basis.length);
    const isWhole = block.length === 0;
    if (!isWhole && basis.length < nextLook) continue;
    // looking costs the cube of the basis: from look to look it grows by a quarter
    nextLook = 1.25 * basis.length;
    const eigen = symmetricEigen(symmetric(products));
    const enough = TOLERANCE * eigen.values[0]!;
    const isFound = (vector: Float64Array) => restLength(vector, rest) <= enough;
    if (isWhole || eigen.vectors.slice(0, count).every(isFound)) {
      return singularValues(matrix, { basis, images }, eigen, count);
    }
  }
}

/**
 * About the `count` largest: a random block, multiplied `iterations` times by W·Wᵀ.
 *
 * @see Halko, Martinsson and Tropp 2011, arXiv:0909.4061, algorithm 4.4.
 */
export function approximateSingularValues(
  matrix: Matrix,
  count: number,
  iterations: number,
  source: RandomSource,
): SingularValues {
  const { small, large, up, down } = sides(matrix);
  let basis = orthonormal(down(randomVectors(Math.min(count, small), large, source)), 0);
  for (let i = 0; i < iterations; i++) basis = orthonormal(down(up(basis)), 0);
  const images = up(basis);
  const products = images.map((image, i) =>
    Float64Array.from({ length: i + 1 }, (_, j) => dot(image, images[j]!))
  );
  return singularValues(matrix, { basis, images }, symmetricEigen(symmetric(products)), count);
}

/** Multiplying by the matrix and back, from its smaller side. */
function sides({ rows, cols, values }: Matrix) {
  const row = (i: number) => values.subarray(i * cols, (i + 1) * cols);
  const times = (vectors: Vectors) => {
    const made = vectors.map(() => new Float64Array(rows));
    for (let i = 0; i < rows; i++) {
      const w = row(i);
      vectors.forEach((vector, k) => made[k]![i] = dot(w, vector));
    }
    return made;
  };
  const timesTransposed = (vectors: Vectors) => {
    const made = vectors.map(() => new Float64Array(cols));
    for (let i = 0; i < rows; i++) {
      const w = row(i);
      vectors.forEach((vector, k) => addTo(made[k]!, vector[i]!, w));
    }
    return made;
  };
  return rows <= cols
    ? { small: rows, large: cols, up: timesTransposed, down: times }
    : { small: cols, large: rows, up: times, down: timesTransposed };
}

function randomVectors(count: number, length: number, source: RandomSource): Float64Array[] {
  const all = normals(count * length, source);
  return Array.from(
    { length: count },
    (_, i) => Float64Array.from(all.subarray(i * length, (i + 1) * length)),
  );
}

/** A symmetric matrix from the rows of its lower half. */
function symmetric(lower: Vectors): Float64Array[] {
  return lower.map((_, i) => Float64Array.from(lower, (_, j) => i >= j ? lower[i]![j]! : lower[j]![i]!));
}

/** How far a vector of the basis is from an eigenvector: what multiplying the latest block gave beyond the basis. */
function restLength(vector: Float64Array, rest: Vectors): number {
  const sum = new Float64Array(rest[0]!.length), first = vector.length - rest.length;
  rest.forEach((part, i) => addTo(sum, vector[first + i]!, part));
  return Math.sqrt(dot(sum, sum));
}

function singularValues(
  { rows, cols }: Matrix,
  { basis, images }: { basis: Vectors; images: Vectors },
  { values, vectors }: { values: Float64Array; vectors: Vectors },
  count: number,
): SingularValues {
  const found = Float64Array.from({ length: count }, (_, i) => Math.sqrt(Math.max(0, values[i] ?? 0)));
  const least = found[0]! * Math.sqrt(NOTHING);
  const combined = (parts: Vectors, length: number, i: number) => {
    const sum = new Float64Array(length);
    if (found[i]! > least) parts.forEach((part, k) => addTo(sum, vectors[i]![k]!, part));
    return sum;
  };
  const isWide = rows <= cols;
  const small = Array.from(found, (_, i) => combined(basis, isWide ? rows : cols, i));
  const large = Array.from(
    found,
    (value, i) => combined(images, isWide ? cols : rows, i).map((x) => value > least ? x / value : 0),
  );
  return {
    values: found.map((value) => value > least ? value : 0),
    left: isWide ? small : large,
    right: isWide ? large : small,
  };
}
