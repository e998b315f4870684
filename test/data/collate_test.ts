import assert from "node:assert/strict";
import { bucketLength, collate } from "../../src/data/collate.ts";
import { IGNORE_INDEX } from "../../src/data/mask.ts";

const X = IGNORE_INDEX;
const example = (ids: number[], labels: number[]) => ({
  inputIds: Int32Array.from(ids),
  labels: Int32Array.from(labels),
});

Deno.test("collate() pads at the right, shifts labels and counts what is real", () => {
  // Padding has the end token's id, 2, which stays trained where it is real.
  const batch = collate([example([7, 8, 2], [X, 8, 2]), example([5], [5])], { rows: 3, length: 4, padId: 2 });
  assert.deepEqual(batch, {
    rows: 3,
    length: 4,
    inputIds: Uint32Array.from([7, 8, 2, 2, 5, 2, 2, 2, 2, 2, 2, 2]),
    targets: Int32Array.from([8, 2, X, X, X, X, X, X, X, X, X, X]),
    lengths: Uint32Array.from([3, 1, 0]),
    trainedTokens: 2,
    tokens: 4,
  });
});

Deno.test("collate() fills rows to the last token", () => {
  const { targets, trainedTokens } = collate([example([1, 2], [1, 2]), example([3, 4], [3, 4])], {
    rows: 2,
    length: 2,
    padId: 0,
  });
  assert.deepEqual([...targets], [2, X, 4, X]);
  assert.equal(trainedTokens, 2);
});

Deno.test("collate() refuses what does not fit", () => {
  const one = example([1, 2, 3], [1, 2, 3]);
  assert.throws(() => collate([one, one], { rows: 1, length: 3, padId: 0 }), {
    name: "RangeError",
    message: "Cannot collate 2 examples into 1 rows",
  });
  assert.throws(() => collate([one], { rows: 1, length: 2, padId: 0 }), {
    name: "RangeError",
    message: "Cannot collate an example of 3 tokens into rows of 2",
  });
});

Deno.test("bucketLength() gives few lengths, each long enough", () => {
  const buckets = [[1, 16], [16, 16], [17, 32], [32, 32], [33, 64], [64, 64], [65, 128], [129, 192], [
    512,
    512,
  ], [513, 576]];
  for (const [n, length] of buckets) assert.equal(bucketLength(n!), length);
  assert.throws(() => bucketLength(0), RangeError);
});
