import assert from "node:assert/strict";
import { LengthCounts } from "../../src/data/length_counts.ts";

function counted(lengths: readonly number[]): LengthCounts {
  const counts = new LengthCounts();
  for (const length of lengths) counts.add(length);
  return counts;
}

Deno.test("LengthCounts gives quantiles as ranks, and the longest", () => {
  const counts = counted([40, 10, 30, 20]);
  assert.deepEqual([0.25, 0.5, 0.51, 1].map((share) => counts.quantile(share)), [10, 20, 30, 40]);
  assert.deepEqual([counts.rows, counts.longest], [4, 40]);
  assert.deepEqual(counted([2, 1, 2]).all(), [1, 2, 2]);
  const none = counted([]);
  assert.deepEqual([none.rows, none.longest, none.quantile(0.5)], [0, 0, 0]);
});

Deno.test("LengthCounts counts every row in one range of a round width", () => {
  assert.deepEqual(counted([0, 9, 10, 29]).histogram(3), [
    { from: 0, to: 9, rows: 2 },
    { from: 10, to: 19, rows: 1 },
    { from: 20, to: 29, rows: 1 },
  ]);
  assert.deepEqual(counted([3, 30]).histogram(3).map(({ from, rows }) => [from, rows]), [[0, 1], [20, 1]]);
});
