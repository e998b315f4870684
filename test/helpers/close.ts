/**
 * Comparison of computed arrays with reference values. A tolerance belongs to one of three classes, so a
 * test says what kind of quantity it compares and never invents a number.
 *
 * @module
 */

import { AssertionError } from "node:assert/strict";

/** Float formats whose rounding a tolerance may have to allow for. */
export type FloatType = "f32" | "f16";

/** How far a result may lie from its reference. Made by {@link exact}, {@link arithmetic} or {@link tensor}. */
export type Tolerance =
  | { readonly type: "exact" }
  | {
    readonly type: "arithmetic";
    readonly stored: FloatType;
    readonly accum: FloatType;
    readonly terms: number;
  }
  | { readonly type: "tensor"; readonly relativeError: number; readonly cosine: number };

/** Distance from 1 to the next representable number. */
const EPSILON: Readonly<Record<FloatType, number>> = { f32: 1.2e-7, f16: 9.8e-4 };

const WORST_SHOWN = 5;

/** Bit for bit equal, so -0 is not 0: packing, codes, gathers, token ids, round trips, resume. */
export function exact(): Tolerance {
  return { type: "exact" };
}

/**
 * For anything with a sum of `terms` terms, element by element:
 *
 *     |got - want| <= (2·ε(stored) + 8·ε(accum)·√terms)·scale,   scale = max|want|
 *
 * The reference must have been fed the rounded inputs.
 *
 * @param stored Element type of the result.
 * @param accum Type that the sum was kept in.
 * @param terms Number of terms of the sum (K of a matmul).
 */
export function arithmetic(stored: FloatType, accum: FloatType, terms: number): Tolerance {
  return { type: "arithmetic", stored, accum, terms };
}

/**
 * For gradients of whole layers and models: ‖got - want‖ <= limit·‖want‖ with limit 1e-4 (f32) or 1e-2 (f16),
 * and cosine of the angle between both >= 0.9999 or 0.999.
 */
export function tensor(type: FloatType): Tolerance {
  return type === "f32"
    ? { type: "tensor", relativeError: 1e-4, cosine: 0.9999 }
    : { type: "tensor", relativeError: 1e-2, cosine: 0.999 };
}

/**
 * Passes when `got` equals `want` within the tolerance. Any value that is not a finite number fails, on either
 * side: a reference with NaN or infinity is a mistake of the test.
 *
 * @throws {AssertionError} With the measured error as a multiple of the tolerance and the five worst elements.
 */
export function assertClose(got: ArrayLike<number>, want: ArrayLike<number>, tolerance: Tolerance): void {
  if (got.length !== want.length) fail(`got ${got.length} values, want ${want.length}`);
  for (let i = 0; i < want.length; i++) {
    if (!Number.isFinite(want[i]) || !Number.isFinite(got[i])) {
      fail(`not finite at index ${i}: got ${got[i]}, want ${want[i]}`);
    }
  }
  if (tolerance.type === "exact") assertExact(got, want);
  else if (tolerance.type === "arithmetic") assertElements(got, want, tolerance);
  else assertTensor(got, want, tolerance);
}

function assertExact(got: ArrayLike<number>, want: ArrayLike<number>): void {
  const different = indices(want.length).filter((i) => !Object.is(got[i], want[i]));
  if (different.length === 0) return;
  const rows = different.slice(0, WORST_SHOWN).map((i) =>
    `  [${i}] got ${show(got[i]!)}, want ${show(want[i]!)}`
  );
  fail(
    `${different.length} of ${want.length} values differ, exact equality wanted; the first:\n${
      rows.join("\n")
    }`,
  );
}

function assertElements(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { stored, accum, terms }: Extract<Tolerance, { type: "arithmetic" }>,
): void {
  let scale = 0;
  for (let i = 0; i < want.length; i++) scale = Math.max(scale, Math.abs(want[i]!));
  const limit = (2 * EPSILON[stored] + 8 * EPSILON[accum] * Math.sqrt(terms)) * scale;
  const wrong = indices(want.length).filter((i) => Math.abs(got[i]! - want[i]!) > limit);
  if (wrong.length === 0) return;
  fail(
    `${wrong.length} of ${want.length} values differ by more than ${show(limit)} ` +
      `(arithmetic ${stored}/${accum}, ${terms} terms, scale ${show(scale)}); the worst:\n` +
      worst(got, want, limit),
  );
}

function assertTensor(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  limits: Extract<Tolerance, { type: "tensor" }>,
): void {
  let error = 0, gotSquared = 0, wantSquared = 0, product = 0;
  for (let i = 0; i < want.length; i++) {
    const g = got[i]!, w = want[i]!;
    error += (g - w) ** 2;
    gotSquared += g * g;
    wantSquared += w * w;
    product += g * w;
  }
  if (error === 0) return;
  const relativeError = Math.sqrt(error / wantSquared);
  const cosine = product / Math.sqrt(gotSquared * wantSquared);
  if (relativeError <= limits.relativeError && cosine >= limits.cosine) return;
  fail(
    `relative Frobenius error ${show(relativeError)} is ${
      show(relativeError / limits.relativeError)
    } times ` +
      `the tolerance ${limits.relativeError}, cosine ${cosine} (at least ${limits.cosine} wanted); the worst:\n` +
      worst(got, want, limits.relativeError * Math.sqrt(wantSquared / want.length)),
  );
}

function worst(got: ArrayLike<number>, want: ArrayLike<number>, limit: number): string {
  const error = (i: number) => Math.abs(got[i]! - want[i]!);
  return indices(want.length)
    .sort((a, b) => error(b) - error(a))
    .slice(0, WORST_SHOWN)
    .map((i) =>
      `  [${i}] got ${show(got[i]!)}, want ${show(want[i]!)}, error ${show(error(i) / limit)} x tolerance`
    )
    .join("\n");
}

function indices(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function show(value: number): string {
  return Object.is(value, -0) ? "-0" : String(Number(value.toPrecision(9)));
}

function fail(message: string): never {
  throw new AssertionError({ message, stackStartFn: assertClose });
}
