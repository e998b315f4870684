import assert from "node:assert/strict";
import { flopsOf, type ProductSize, totalFlops, workOf } from "../../src/tuning/work.ts";

const MAPS = [{ out: 1536, in: 576, count: 60 }, { out: 576, in: 1536, count: 30 }];
const HEAD = { out: 49152, in: 576 };

Deno.test("workOf() counts every product of a micro-batch once, largest share first", () => {
  const work = workOf({ maps: MAPS, head: HEAD, tokens: 256, headRows: 64, rank: 8 });
  assert.deepEqual(work.forward, [
    { rows: 256, cols: 1536, inner: 576, count: 60 },
    { rows: 64, cols: 8192, inner: 576, count: 24 },
    { rows: 256, cols: 576, inner: 1536, count: 30 },
  ]);
  const base = 256 * (60 * 1536 * 576 + 30 * 576 * 1536 + 49152 * 576);
  const sum = (sizes: readonly ProductSize[]) => sizes.reduce((flops, size) => flops + flopsOf(size), 0);
  assert.equal(sum(work.forward), 2 * base);
  assert.equal(sum(work.backwardInput), 2 * base);
  const update = 256 * 8 * (90 * (1536 + 576));
  assert.equal(sum(work.narrow), 2 * update);
  assert.equal(sum(work.backwardFactor), 2 * update);
  assert.equal(totalFlops(work), 4 * base + 4 * update);
});

Deno.test("workOf() counts what is computed again, and nothing narrow without an update", () => {
  const request = { maps: MAPS, head: HEAD, tokens: 64, headRows: 64, rank: 0 };
  const plain = workOf(request), again = workOf({ ...request, recomputed: 1 });
  assert.deepEqual([plain.narrow, plain.backwardFactor], [[], []]);
  assert.deepEqual(again.forward.find(({ cols }) => cols === 1536)!.count, 120);
  assert.deepEqual(again.backwardInput, plain.backwardInput);
});
