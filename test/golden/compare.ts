/**
 * The rules by which results are compared with values that PyTorch computed, in f32. They are tight: PyTorch
 * itself moves by a twentieth of them, or less, when only its rounding changes.
 *
 * @module
 */

/** What a tensor holds, which decides how it is compared. */
export type TensorKind = "logits" | "gradient" | "parameters" | "exact";

/** What a number is. */
export type NumberKind = "loss" | "learningRate" | "gradNorm";

/** The measured distance and how far it may be. */
export interface Comparison {
  readonly ok: boolean;
  readonly value: number;
  readonly limit: number;
}

/** What operands of products are rounded to before they are multiplied. */
export type Precision = "f32" | "f16";

/**
 * For f16 a hundred times wider, as tolerances of whole tensors are. Parameters may be as far apart as AdamW walks in five
 * steps: where a gradient is nothing but rounding, so is its sign, and the first steps follow the sign.
 */
const TENSOR_LIMITS: Readonly<Record<Precision, Readonly<Record<TensorKind, number>>>> = {
  f32: { logits: 3e-5, gradient: 1e-4, parameters: 2e-5, exact: 0 },
  f16: { logits: 3e-3, gradient: 1e-2, parameters: 5e-3, exact: 0 },
};

const NUMBER_LIMITS: Readonly<Record<Precision, Readonly<Record<NumberKind, number>>>> = {
  f32: { loss: 1e-5, learningRate: 1e-6, gradNorm: 1e-4 },
  f16: { loss: 1e-3, learningRate: 1e-6, gradNorm: 1e-2 },
};

/**
 * Compares a tensor with its golden values, in f32:
 *
 *     logits       max|d| / max|want|                                      <= 3e-5
 *     gradient     the larger of ‖d‖/‖want‖ and max|d|/(max|want| + 1e-4)  <= 1e-4
 *     parameters   max|d|, after five steps of learning rate 1e-3          <= 2e-5
 *     exact        max|d|                                                  <= 0
 *
 * @param mask One value per equal part of the tensor (a position of the logits); parts with 0 are padding, which
 * is not compared.
 * @param precision Wider limits for f16.
 * @throws {RangeError} If the lengths do not fit.
 */
export function compareTensor(
  kind: TensorKind,
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  mask?: ArrayLike<number>,
  precision: Precision = "f32",
): Comparison {
  if (got.length !== want.length) throw new RangeError(`got ${got.length} values, want ${want.length}`);
  if (mask && want.length % mask.length !== 0) {
    throw new RangeError(`a mask of ${mask.length} parts does not divide ${want.length} values`);
  }
  const partLength = want.length / (mask?.length ?? 1);
  let largestError = 0, largestWant = 0, squaredError = 0, squaredWant = 0;
  for (let i = 0; i < want.length; i++) {
    largestWant = Math.max(largestWant, Math.abs(want[i]!));
    if (mask && mask[Math.floor(i / partLength)] === 0) continue;
    const error = Math.abs(got[i]! - want[i]!);
    largestError = Math.max(largestError, error);
    squaredError += error ** 2;
    squaredWant += want[i]! ** 2;
  }
  const limit = TENSOR_LIMITS[precision][kind];
  const value = kind === "logits" ? largestError / largestWant : kind === "gradient"
    ? Math.max(
      Math.sqrt(squaredError) / (Math.sqrt(squaredWant) + 1e-30),
      largestError / (largestWant + 1e-4),
    )
    : largestError;
  return { ok: value <= limit, value, limit };
}

/**
 * Compares a number, in f32: |d| / |want| <= 1e-5 for a loss, 1e-6 for a learning rate, 1e-4 for a gradient norm.
 *
 * @param precision Wider limits for f16, but for the learning rate.
 */
export function compareNumber(
  kind: NumberKind,
  got: number,
  want: number,
  precision: Precision = "f32",
): Comparison {
  const limit = NUMBER_LIMITS[precision][kind];
  const error = Math.abs(got - want);
  const value = error / (Math.abs(want) + 1e-12);
  // Equal up to the last bits of an f64: a learning rate of 0 has no relative error.
  return { ok: value <= limit || error <= 1e-12, value, limit };
}

/**
 * What a set of comparisons came to: one line for each that failed, then the counts and the largest distance of
 * each kind.
 */
export class GoldenReport {
  readonly #failures: string[] = [];
  readonly #worst = new Map<string, number>();
  #compared = 0;

  /** Adds a comparison. `key` is the golden file's. */
  add(key: string, kind: TensorKind | NumberKind, { ok, value, limit }: Comparison): void {
    this.#compared++;
    this.#worst.set(kind, Math.max(this.#worst.get(kind) ?? 0, value));
    if (!ok) this.#failures.push(`FAIL ${key} ${value.toPrecision(3)} > ${limit}`);
  }

  get ok(): boolean {
    return this.#compared > 0 && this.#failures.length === 0;
  }

  toString(): string {
    const worst = [...this.#worst].map(([kind, value]) => `${kind} ${value.toPrecision(2)}`).join(", ");
    const counts = `${this.#compared} compared, ${this.#failures.length} failed`;
    return [...this.#failures, worst ? `${counts}; largest: ${worst}` : counts].join("\n");
  }
}
