/**
 * Orthonormal bases in f64. Vectors are arrays of their own.
 *
 * @module
 */

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** a += factor·b */
export function addTo(a: Float64Array, factor: number, b: Float64Array): void {
  for (let i = 0; i < a.length; i++) a[i]! += factor * b[i]!;
}

/** Takes out of the vectors what lies along a basis; twice, since once leaves what rounding adds. */
export function removeFrom(vectors: readonly Float64Array[], basis: readonly Float64Array[]): void {
  for (const vector of vectors) {
    for (let round = 0; round < 2; round++) {
      for (const direction of basis) addTo(vector, -dot(vector, direction), direction);
    }
  }
}

/** An orthonormal basis of what the vectors span; those shorter than `least` once the others are out are left out. */
export function orthonormal(vectors: readonly Float64Array[], least: number): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const vector of vectors) {
    const rest = vector.slice();
    removeFrom([rest], basis);
    const length = Math.sqrt(dot(rest, rest));
    if (!(length > least)) continue;
    basis.push(rest.map((value) => value / length));
  }
  return basis;
}

/**
 * The columns of Q of a QR decomposition by Householder's reflections, with LAPACK's signs: a column whose reflection is
 * needed has a diagonal element of R of the other sign than its own.
 *
 * @param columns Columns of the matrix, as long as the matrix is high, no more than that; changed in place.
 */
export function householderQ(columns: readonly Float64Array[]): Float64Array[] {
  const reflections = columns.map((column, k) => {
    const v = column.slice().fill(0, 0, k + 1), own = column[k]!;
    const rest = dot(v, v);
    if (!(rest > 0)) return null;
    v[k] = own + (own < 0 ? -1 : 1) * Math.sqrt(rest + own ** 2);
    const reflection = { v, factor: 2 / (rest + v[k]! ** 2) };
    for (const later of columns.slice(k)) reflect(later, reflection);
    return reflection;
  });
  return columns.map((column, k) => {
    const q = new Float64Array(column.length);
    q[k] = 1;
    for (const reflection of reflections.toReversed()) if (reflection) reflect(q, reflection);
    return q;
  });
}

/** x ← (I − f·v·vᵀ)·x */
function reflect(x: Float64Array, { v, factor }: { v: Float64Array; factor: number }): void {
  addTo(x, -factor * dot(v, x), v);
}
