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

Deno.test("LengthCounts gives bars from the shortest length on, and gathers few far longer ones in the last", () => {
  const of = (lengths: readonly number[]) => {
    const counts = new LengthCounts();
    for (const length of lengths) counts.add(length);
    return counts;
  };
  assert.deepEqual(of([]).bars(24), []);
  assert.deepEqual(of([256, 256]).bars(24), [{ from: 256, to: 256, rows: 2 }]);
  assert.deepEqual(
    of([20, 23, 23]).bars(24),
    [20, 21, 22, 23].map((from) => {
      return { from, to: from, rows: { 20: 1, 23: 2 }[from] ?? 0 };
    }),
  );
  const usual = Array.from({ length: 500 }, (_, i) => 100 + i % 100);
  const bars = of([...usual, 20_000]).bars(24);
  assert.deepEqual(bars.at(-1), { from: 200, to: 20_000, rows: 1 });
  assert.deepEqual([bars.length, bars[0]!.from, bars[0]!.rows], [21, 100, 25]);
  // a length to be shown lies within the even ranges
  const cut = of([...usual, 20_000]).bars(24, 512);
  assert.ok(cut.length <= 24 && cut.at(-1)!.from > 512 && cut.at(-1)!.from < 600);
  for (const many of [bars, cut]) assert.equal(many.reduce((sum, { rows }) => sum + rows, 0), 501);
  assert.equal(of([1, 5000]).bars(24, 512).reduce((sum, { rows }) => sum + rows, 0), 2);
});
