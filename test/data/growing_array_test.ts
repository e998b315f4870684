import assert from "node:assert/strict";
import { GrowingArray, GrowingSums } from "../../src/data/growing_array.ts";

Deno.test("GrowingArray gives all its numbers in one array, across chunks", () => {
  const numbers = new GrowingArray(Float64Array), length = 2 ** 18 + 3;
  assert.deepEqual([...numbers.whole()], []);
  for (let i = 0; i < length; i++) numbers.push(i / 2);
  const whole = numbers.whole();
  assert.equal(whole.length, length);
  assert.ok(whole.every((number, i) => number === i / 2));
});

Deno.test("GrowingSums keeps numbers beyond 2^32 in four bytes each", () => {
  const step = 2 ** 31 + 12_345, sums = new GrowingSums(), wanted: number[] = [];
  for (let i = 0; i < 9; i++) {
    // the first ones stay where they are, as the ends of empty rows do
    const value = i < 2 ? 0 : step * (i - 1);
    sums.push(value);
    wanted.push(value);
  }
  assert.ok(wanted.at(-1)! > 3 * 2 ** 32);
  assert.deepEqual(wanted.map((_, i) => sums.get(i)), wanted);
  assert.deepEqual([sums.length, sums.bytes], [9, 2 ** 18 * 4]);
  const exact = new GrowingSums();
  for (const value of [2 ** 32 - 1, 2 ** 32, 2 ** 32, 2 ** 33]) exact.push(value);
  assert.deepEqual([0, 1, 2, 3].map((i) => exact.get(i)), [2 ** 32 - 1, 2 ** 32, 2 ** 32, 2 ** 33]);
});
