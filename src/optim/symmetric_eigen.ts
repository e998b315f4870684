/**
 * Eigenvalues and eigenvectors of a symmetric matrix in f64: Householder's reflections to a tridiagonal matrix, then the
 * implicit QL method.
 *
 * @see Golub and Van Loan, "Matrix Computations", sections 8.3.1 and 8.3.3.
 * @module
 */

/** Eigenvalues, largest first, and the unit vector that belongs to each. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** More rounds for one eigenvalue than rounding ever asks for. */
const MOST_ROUNDS = 60;

/**
 * @param rows The matrix; changed in place.
 * @throws {RangeError} If a value is not finite.
 */
export function symmetricEigen(rows: readonly Float64Array[]): Eigen {
  const vectors = rows.map((_, i) => Float64Array.from(rows, (_, j) => (i === j ? 1 : 0)));
  const { diagonal, beside } = tridiagonal(rows, vectors);
  diagonalise(diagonal, beside, vectors);
  const order = [...diagonal.keys()].sort((a, b) => diagonal[b]! - diagonal[a]!);
  return {
    values: Float64Array.from(order, (i) => diagonal[i]!),
    vectors: order.map((i) => vectors[i]!),
  };
}

/** Reflects the matrix into a tridiagonal one, and the vectors with it. */
function tridiagonal(
  a: readonly Float64Array[],
  vectors: readonly Float64Array[],
): { diagonal: Float64Array; beside: Float64Array } {
  const n = a.length, beside = new Float64Array(n);
  for (let k = 0; k + 1 < n; k++) {
    const v = new Float64Array(n);
    let rest = 0;
    for (let i = k + 2; i < n; i++) rest += (v[i] = a[i]![k]!) ** 2;
    const own = a[k + 1]![k]!;
    beside[k] = own;
    if (!(rest > 0)) continue;
    beside[k] = (own > 0 ? -1 : 1) * Math.sqrt(rest + own ** 2);
    v[k + 1] = own - beside[k]!;
    const factor = 2 / (rest + v[k + 1]! ** 2);
    reflectBothSides(a, v, k + 1, factor);
    reflectRows(vectors, v, k + 1, factor);
  }
  return { diagonal: Float64Array.from(a, (row, i) => row[i]!), beside };
}

/** A ← (I − f·v·vᵀ)·A·(I − f·v·vᵀ) from row and column `first` on. */
function reflectBothSides(a: readonly Float64Array[], v: Float64Array, first: number, factor: number): void {
  const n = v.length, w = new Float64Array(n);
  let along = 0;
  for (let i = first; i < n; i++) {
    const row = a[i]!;
    let sum = 0;
    for (let j = first; j < n; j++) sum += row[j]! * v[j]!;
    w[i] = factor * sum;
    along += w[i]! * v[i]!;
  }
  for (let i = first; i < n; i++) w[i]! -= factor / 2 * along * v[i]!;
  for (let i = first; i < n; i++) {
    const row = a[i]!, vi = v[i]!, wi = w[i]!;
    for (let j = first; j < n; j++) row[j]! -= vi * w[j]! + wi * v[j]!;
  }
}

/** R ← (I − f·v·vᵀ)·R */
function reflectRows(rows: readonly Float64Array[], v: Float64Array, first: number, factor: number): void {
  const n = v.length, sums = new Float64Array(n);
  for (let i = first; i < n; i++) {
    const row = rows[i]!, vi = v[i]!;
    for (let j = 0; j < n; j++) sums[j]! += vi * row[j]!;
  }
  for (let i = first; i < n; i++) {
    const row = rows[i]!, vi = factor * v[i]!;
    for (let j = 0; j < n; j++) row[j]! -= vi * sums[j]!;
  }
}

/** Turns neighbouring rows until nothing is left beside the diagonal. */
function diagonalise(d: Float64Array, e: Float64Array, vectors: readonly Float64Array[]): void {
  const n = d.length;
  for (let low = 0; low < n; low++) {
    for (let round = 0;; round++) {
      const high = endOfBlock(d, e, low);
      if (high === low) break;
      if (round === MOST_ROUNDS) throw new RangeError("Cannot find eigenvalues as a value is not finite");
      chase(d, e, vectors, low, high);
    }
  }
}

/** The row up to which the matrix does not fall apart. */
function endOfBlock(d: Float64Array, e: Float64Array, low: number): number {
  let high = low;
  while (high + 1 < d.length) {
    if (Math.abs(e[high]!) <= Number.EPSILON * (Math.abs(d[high]!) + Math.abs(d[high + 1]!))) break;
    high++;
  }
  return high;
}

/** One implicit step with Wilkinson's shift. */
function chase(
  d: Float64Array,
  e: Float64Array,
  vectors: readonly Float64Array[],
  low: number,
  high: number,
): void {
  const slope = (d[low + 1]! - d[low]!) / (2 * e[low]!), root = Math.hypot(slope, 1);
  let g = d[high]! - d[low]! + e[low]! / (slope + (slope < 0 ? -root : root));
  let sine = 1, cosine = 1, moved = 0;
  for (let i = high - 1; i >= low; i--) {
    const f = sine * e[i]!, b = cosine * e[i]!, length = Math.hypot(f, g);
    e[i + 1] = length;
    if (length === 0) {
      d[i + 1]! -= moved;
      e[high] = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    g = d[i + 1]! - moved;
    const change = (d[i]! - g) * sine + 2 * cosine * b;
    moved = sine * change;
    d[i + 1] = g + moved;
    g = cosine * change - b;
    turn(vectors[i]!, vectors[i + 1]!, cosine, sine);
  }
  d[low]! -= moved;
  e[low] = g;
  e[high] = 0;
}

function turn(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let j = 0; j < a.length; j++) {
    const x = a[j]!, y = b[j]!;
    a[j] = cosine * x - sine * y;
    b[j] = sine * x + cosine * y;
  }
}
