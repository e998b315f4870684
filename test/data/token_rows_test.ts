import assert from "node:assert/strict";
import type { TokenizedExample } from "../../src/data/example.ts";
import { IGNORE_INDEX } from "../../src/data/mask.ts";
import { CutRows, rowLengths, RowSubset, TokenRows } from "../../src/data/token_rows.ts";

const X = IGNORE_INDEX;
const row = (ids: number[], labels: number[]): TokenizedExample => {
  return { inputIds: Int32Array.from(ids), labels: Int32Array.from(labels) };
};
const ROWS = [
  row([5, 6, 7, 8], [X, 6, X, 8]),
  row([1], [1]),
  row([65_535, 2, 3], [X, X, X]),
  row([4, 5], [4, 5]),
];

Deno.test("TokenRows gives back the rows that it took, in order and by index", () => {
  for (const vocabSize of [65_536, 65_537]) {
    const rows = new TokenRows(vocabSize);
    const want = [...ROWS.slice(0, 3), row([4, vocabSize - 1], [4, vocabSize - 1])];
    for (const { inputIds: ids, labels } of want) rows.push({ ids, labels });
    assert.deepEqual([...rows], want);
    assert.deepEqual([rows.at(2), rows.at(-1), rows.at(4)], [want[2], want[3], undefined]);
    assert.deepEqual([...rowLengths(rows)], [4, 1, 3, 2]);
  }
});

Deno.test("TokenRows takes two bytes a token of a small vocabulary, across chunks", () => {
  const rows = new TokenRows(50_000);
  const length = 2 ** 17 + 1;
  for (let i = 0; i < 5; i++) rows.push({ ids: Array(length).fill(i), labels: Array(length).fill(X) });
  assert.deepEqual([...rows].map(({ inputIds }) => [inputIds.length, inputIds[0], inputIds[length - 1]]), [
    [length, 0, 0],
    [length, 1, 1],
    [length, 2, 2],
    [length, 3, 3],
    [length, 4, 4],
  ]);
  // three chunks of ids, one each of lengths and of where rows and spans end
  assert.equal(rows.bytes, 2 ** 18 * (3 * 2 + 3 * 4));
});

Deno.test("TokenRows remembers what it does not keep, and gives the first tokens of a row", () => {
  const rows = new TokenRows(100), ids = [5, 6, 7, 8, 9], labels = [5, 6, X, X, 9];
  for (const kept of [5, 3, 0]) rows.push({ ids, labels }, kept);
  assert.deepEqual([0, 1, 2].map((row) => rows.wholeLength(row)), [5, 5, 5]);
  assert.deepEqual([...rowLengths(rows)], [5, 3, 0]);
  assert.deepEqual(rows.at(1), row([5, 6, 7], [5, 6, X]));
  assert.deepEqual(rows.at(0, 4), row([5, 6, 7, 8], [5, 6, X, X]));
  assert.deepEqual(rows.at(0, 9), row(ids, labels));
  for (const kept of [0, 1, 2]) {
    // the first token is never predicted
    assert.deepEqual([1, 2, 3, 4, 5, Infinity].map((most) => rows.trainedTokens(kept, most)), [
      0,
      1,
      1,
      1,
      2,
      2,
    ]);
  }
});

Deno.test("CutRows gives no more than the first tokens of each row", () => {
  const rows = new TokenRows(100);
  for (const { inputIds: ids, labels } of [ROWS[0]!, ROWS[1]!]) rows.push({ ids, labels });
  const cut = new CutRows(rows, 2);
  assert.deepEqual([...cut], [row([5, 6], [X, 6]), row([1], [1])]);
  assert.deepEqual([cut.at(-1), cut.at(2), [...rowLengths(cut)]], [row([1], [1]), undefined, [2, 1]]);
});

Deno.test("RowSubset gives some rows of a list in the order of their indices", () => {
  const some = new RowSubset(ROWS, Uint32Array.of(3, 0));
  assert.equal(some.length, 2);
  assert.deepEqual([...some], [ROWS[3], ROWS[0]]);
  assert.deepEqual([some.at(1), some.at(-2), some.at(2)], [ROWS[0], ROWS[3], undefined]);
});

Deno.test("rowLengths() of a subset are those of its rows, without making them", () => {
  const rows = new TokenRows(65_537);
  for (const { inputIds: ids, labels } of ROWS) rows.push({ ids, labels });
  const some = new RowSubset(rows, Uint32Array.of(3, 0));
  rows.at = () => assert.fail("a row was made");
  assert.deepEqual([...rowLengths(rows)], [4, 1, 3, 2]);
  assert.deepEqual([...rowLengths(some)], [2, 4]);
});
