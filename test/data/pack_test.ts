import assert from "node:assert/strict";
import { packRows } from "../../src/data/pack.ts";

Deno.test("packRows() puts the longest first, each where it leaves the least room", () => {
  assert.deepEqual(packRows([2, 5, 3, 7, 1, 2], 8), [[0, 5], [1, 2], [3, 4]]);
  assert.deepEqual(packRows([8, 8, 1], 8), [[0], [1], [2]]);
  assert.deepEqual(packRows([], 8), []);
});

Deno.test("packRows() puts each row into one pack, none beyond the capacity, with little waste", () => {
  const lengths = Array.from({ length: 997 }, (_, i) => 1 + (i * i * 31 + i * 7) % 61);
  const packs = packRows(lengths, 61);
  assert.deepEqual(packs.flat().sort((a, b) => a - b), lengths.map((_, i) => i));
  const sums = packs.map((rows) => rows.reduce((sum, row) => sum + lengths[row]!, 0));
  assert.ok(sums.every((sum) => sum <= 61));
  const least = Math.ceil(lengths.reduce((sum, length) => sum + length, 0) / 61);
  assert.ok(packs.length <= 11 / 9 * least + 1, `${packs.length} packs where ${least} may do`);
  assert.deepEqual(packRows(lengths, 61), packs);
});

Deno.test("packRows() refuses a row that no pack holds", () => {
  assert.throws(() => packRows([3, 9], 8), {
    name: "RangeError",
    message: "Cannot pack a row of 9 tokens into rows of 8",
  });
});
