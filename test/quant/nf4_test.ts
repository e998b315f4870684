import assert from "node:assert/strict";
import { dequantizeNf4, NF4_LEVELS, quantizeNf4, wholeBlockRows } from "../../src/quant/nf4.ts";
import { fillUniform, streamOf } from "../../src/random.ts";
import { assertClose, exact } from "../helpers/close.ts";

/** Midpoint of levels i and i + 1, in f32. */
const midpoint = (i: number) => Math.fround(NF4_LEVELS[i]! + NF4_LEVELS[i + 1]!) / 2;

const codesOf = (bytes: Uint8Array) => [...bytes].flatMap((pair) => [pair >> 4, pair & 15]);

/** A block whose largest magnitude is 1, so that values are not scaled. */
function unitBlock(values: readonly number[]): Float32Array {
  return Float32Array.from({ length: 64 }, (_, i) => values[i] ?? 1);
}

/** Normal numbers by Box and Muller. */
function normal(count: number, seed: number): Float32Array {
  const [radius, angle] = ["radius", "angle"].map((name) => {
    const values = new Float32Array(count);
    fillUniform(values, 2 ** -24, 1, { seed, stream: streamOf(name) });
    return values;
  }) as [Float32Array, Float32Array];
  return radius.map((value, i) => Math.sqrt(-2 * Math.log(value)) * Math.cos(2 * Math.PI * angle[i]!));
}

Deno.test("quantizeNf4() finds each level, and the lower one of two that are equally near", () => {
  const levels = quantizeNf4(unitBlock([...NF4_LEVELS]));
  assert.deepEqual(codesOf(levels.codes).slice(0, 16), [...Array(16).keys()]);
  assert.deepEqual([...levels.absmax], [1]);
  const ties = Array.from({ length: 15 }, (_, i) => midpoint(i));
  assert.deepEqual(codesOf(quantizeNf4(unitBlock(ties)).codes).slice(0, 15), [...Array(15).keys()]);
  const above = ties.map((value) => value + Math.abs(value) * 2 ** -22 + 1e-12);
  assert.deepEqual(codesOf(quantizeNf4(unitBlock(above)).codes).slice(0, 15), ties.map((_, i) => i + 1));
});

Deno.test("quantizeNf4() packs the first of two codes high, and pads an odd count with the code of zero", () => {
  const { codes, absmax } = quantizeNf4(Float32Array.of(-2, 0, 2));
  assert.deepEqual([...codes], [0x07, 0xf7]);
  assert.deepEqual([...absmax], [2]);
  assert.deepEqual([...dequantizeNf4(codes, absmax, 3)], [-2, 0, 2]);
});

Deno.test("quantizeNf4() gives a zero block the scale and the code of zero, and small numbers a finite scale", () => {
  const { codes, absmax } = quantizeNf4(new Float32Array(64));
  assert.deepEqual([...absmax], [0]);
  assert.ok(codes.every((pair) => pair === 0x77));
  assertClose(dequantizeNf4(codes, absmax, 64), new Float32Array(64), exact());
  const tiny = quantizeNf4(new Float32Array(64).fill(1e-41));
  assert.ok(dequantizeNf4(tiny.codes, tiny.absmax, 64).every(Number.isFinite));
});

Deno.test("quantizeNf4() in runs of whole blocks gives what it gives at once", () => {
  const rows = 48, cols = 100, values = normal(rows * cols, 3);
  const run = wholeBlockRows(cols) * cols;
  assert.equal(run, 1600);
  const parts = [0, 1, 2].map((i) => quantizeNf4(values.subarray(i * run, (i + 1) * run)));
  const whole = quantizeNf4(values);
  assert.deepEqual(parts.flatMap(({ codes }) => [...codes]), [...whole.codes]);
  assert.deepEqual(parts.flatMap(({ absmax }) => [...absmax]), [...whole.absmax]);
  assert.deepEqual([64, 576, 1, 96, 130].map((width) => wholeBlockRows(width)), [1, 1, 64, 2, 32]);
});

Deno.test("quantizeNf4() of normal numbers errs as little as bitsandbytes publishes", () => {
  const values = normal(2 ** 18, 11);
  const { codes, absmax } = quantizeNf4(values);
  const back = dequantizeNf4(codes, absmax, values.length);
  const error = values.reduce((sum, value, i) => sum + Math.abs(value - back[i]!), 0) / values.length;
  // mean absolute error 0.072798 ± 0.000074 over 200 runs (bitsandbytes, tests/test_functional.py), 7σ
  assert.ok(Math.abs(error - 0.072798) < 7 * 0.000074, `mean absolute error ${error}`);
});

Deno.test("quantizeNf4() refuses what is not a number", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const values = new Float32Array(70).fill(1);
    values[66] = bad;
    assert.throws(() => quantizeNf4(values), {
      name: "RangeError",
      message: `Cannot quantise value 66 of the run as it is ${bad}: the weights are damaged or overflow`,
    });
  }
});
