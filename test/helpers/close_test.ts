import assert from "node:assert/strict";
import { arithmetic, assertClose, exact, tensor } from "./close.ts";
import { ramp, SENTINEL } from "./fill.ts";

Deno.test("assertClose(exact) tells the sign of zero and names the index", () => {
  assertClose([1, -0], [1, -0], exact());
  assert.throws(
    () => assertClose([1, 0, 2], [1, -0, 2], exact()),
    /1 of 3 values differ[^]*\[1\] got 0, want -0/,
  );
});

Deno.test("assertClose() passes NaN and infinity under no tolerance, on either side", () => {
  for (const tolerance of [exact(), arithmetic("f16", "f16", 1e6), tensor("f16")]) {
    for (const value of [NaN, Infinity, -Infinity]) {
      assert.throws(
        () => assertClose([1, value], [1, 2], tolerance),
        /not finite at index 1: got (NaN|-?Infinity)/,
      );
      assert.throws(() => assertClose([1, value], [1, value], tolerance), /not finite at index 1/);
    }
  }
});

Deno.test("assertClose() refuses arrays of different length", () => {
  assert.throws(() => assertClose([1, 2], [1, 2, 3], tensor("f32")), /got 2 values, want 3/);
});

Deno.test("assertClose(arithmetic) bounds the error by the largest reference value and the number of terms", () => {
  const want = [10, 0.001];
  const limit = (2 * 1.2e-7 + 8 * 1.2e-7 * Math.sqrt(100)) * 10;
  assertClose([10, 0.001 + 0.99 * limit], want, arithmetic("f32", "f32", 100));
  assert.throws(
    () => assertClose([10, 0.001 + 2 * limit], want, arithmetic("f32", "f32", 100)),
    /1 of 2 values[^]*scale 10\)[^]*\[1\] got [^]* want 0.001, error 2 x tolerance/,
  );
  assertClose([10, 0.001 + 2 * limit], want, arithmetic("f16", "f32", 100));
});

Deno.test("assertClose(arithmetic) lists the five worst elements, largest first", () => {
  const want = ramp(20), got = want.map((value, i) => value + (i === 7 ? 0.5 : i * 1e-3));
  assert.throws(() => assertClose(got, want, arithmetic("f32", "f32", 1)), (error: Error) => {
    const rows = error.message.split("\n").slice(1).map((row) => Number(/\[(\d+)\]/.exec(row)?.[1]));
    assert.deepEqual(rows, [7, 19, 18, 17, 16]);
    return true;
  });
});

Deno.test("assertClose(tensor) bounds the relative Frobenius error", () => {
  const want = ramp(1000, { scale: 3 });
  assertClose(Array.from(want, (value) => value * (1 + 0.99e-4)), want, tensor("f32"));
  const tooFar = Array.from(want, (value) => value * (1 + 2e-4));
  assert.throws(() => assertClose(tooFar, want, tensor("f32")), /Frobenius error 0.0002\d* is 2\S* times/);
  assertClose(tooFar, want, tensor("f16"));
});

Deno.test("assertClose(tensor) accepts an all-zero reference only for zeros", () => {
  assertClose([0, 0], [0, 0], tensor("f32"));
  assert.throws(() => assertClose([0, 1e-30], [0, 0], tensor("f32")), /Infinity times/);
});

Deno.test("ramp() is deterministic, bounded by its scale and holds no sentinel", () => {
  const values = ramp(997, { scale: 0.5, phase: 1 });
  assert.deepEqual(values, ramp(997, { scale: 0.5, phase: 1 }));
  assert.ok(values.every((value) => Math.abs(value) <= 0.5 && value !== SENTINEL && value !== 0));
  assert.notDeepEqual(values, ramp(997, { scale: 0.5 }));
  assert.equal(new Set(values).size > 990, true);
});
