import { assertClose, tensor } from "./close.ts";
import { ramp } from "./fill.ts";

/** f64 copies of rounded inputs: what a reference is fed. */
export function wide(values: ArrayLike<number>): Float64Array<ArrayBuffer> {
  return Float64Array.from(values);
}

/** Σ a_i · b_i */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/**
 * Holds a reference's gradient against the function that it claims to be the gradient of:
 *
 *     ⟨grad, d⟩ = (L(x + h·d) − L(x − h·d)) / 2h
 *
 * for two directions d, in f64.
 */
export function assertGradient(
  loss: (x: Float64Array) => number,
  x: Float64Array,
  grad: Float64Array,
): void {
  const h = 1e-5;
  for (const phase of [0.3, 2.1]) {
    const d = ramp(x.length, { phase });
    const shifted = (by: number) => loss(x.map((value, i) => value + by * d[i]!));
    assertClose([dot(grad, d)], [(shifted(h) - shifted(-h)) / (2 * h)], tensor("f32"));
  }
}
