/**
 * The product that libraries are compared by: y = x·wᵀ, as a linear map goes forward, and y = x·w, as its gradient goes
 * back, of square f32 matrices.
 *
 * @module
 */

/** x [n, n] times w [n, n], transposed or as it is. */
export interface ProductProblem {
  readonly size: number;
  readonly transposed: boolean;
  readonly x: Float32Array<ArrayBuffer>;
  readonly w: Float32Array<ArrayBuffer>;
}

/** A library with the problem's matrices in buffers of its device. */
export interface ProductRunner {
  readonly name: string;
  /** Computes the product `count` times, from buffers to a buffer, and waits once, for the last of them. */
  run(count: number): Promise<void>;
  /** The last product of the last run, [n, n]. */
  read(): Promise<Float32Array>;
  close(): Promise<void>;
}

const EPSILON_F32 = 1.2e-7;
const CHECKED_VALUES = 512;
/** Coprime to every size in use, so that the checked values lie all over the matrix. */
const CHECK_STRIDE = 7919;

/** Matrices of values that differ from each other and sum to about nothing, so that wrong rows and columns show. */
export function productProblem(size: number, transposed: boolean): ProductProblem {
  const ramp = (phase: number) =>
    Float32Array.from({ length: size * size }, (_, i) => Math.sin(0.7 * i + phase));
  return { size, transposed, x: ramp(0.5), w: ramp(2) };
}

/**
 * The largest error of a sample of the product against f64, as it is and as a share of what rounding explains:
 * (2 + 8·√n)·ε times the largest value.
 */
export function sampledError(
  y: ArrayLike<number>,
  { size, transposed, x, w }: ProductProblem,
): { absolute: number; share: number } {
  let absolute = 0, largest = 0;
  for (let i = 0; i < CHECKED_VALUES; i++) {
    const at = (i * CHECK_STRIDE) % (size * size);
    const row = Math.floor(at / size), col = at % size;
    let want = 0;
    for (let k = 0; k < size; k++) {
      want += x[row * size + k]! * w[transposed ? col * size + k : k * size + col]!;
    }
    const error = Math.abs(y[at]! - want);
    if (!(error <= absolute)) absolute = error; // NaN too
    largest = Math.max(largest, Math.abs(want));
    if (Number.isNaN(error)) return { absolute, share: Infinity };
  }
  return { absolute, share: absolute / ((2 + 8 * Math.sqrt(size)) * EPSILON_F32 * largest) };
}
