import assert from "node:assert/strict";
import type { TokenizedExample } from "../../src/data/example.ts";
import { IGNORE_INDEX } from "../../src/data/mask.ts";
import { rowLengths, RowSubset, TokenRows } from "../../src/data/token_rows.ts";

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
    for (const one of want) rows.push(one);
    assert.deepEqual([...rows], want);
    assert.deepEqual([rows.at(2), rows.at(-1), rows.at(4)], [want[2], want[3], undefined]);
    assert.deepEqual([...rowLengths(rows)], [4, 1, 3, 2]);
  }
});

Deno.test("TokenRows takes two bytes a token of a small vocabulary, across chunks", () => {
  const rows = new TokenRows(50_000);
  const length = 2 ** 17 + 1;
  for (let i = 0; i < 5; i++) rows.push(row(Array(length).fill(i), Array(length).fill(X)));
  assert.deepEqual([...rows].map(({ inputIds }) => [inputIds.length, inputIds[0], inputIds[length - 1]]), [
    [length, 0, 0],
    [length, 1, 1],
    [length, 2, 2],
    [length, 3, 3],
    [length, 4, 4],
  ]);
  // three chunks of ids, one each of where rows and spans end
  assert.equal(rows.bytes, 2 ** 18 * (3 * 2 + 2 * 4));
});

Deno.test("RowSubset gives some rows of a list in the order of their indices", () => {
  const some = new RowSubset(ROWS, Uint32Array.of(3, 0));
  assert.equal(some.length, 2);
  assert.deepEqual([...some], [ROWS[3], ROWS[0]]);
  assert.deepEqual([some.at(1), some.at(-2), some.at(2)], [ROWS[0], ROWS[3], undefined]);
});

Deno.test("rowLengths() of a subset are those of its rows, without making them", () => {
  const rows = new TokenRows(65_537);
  for (const one of ROWS) rows.push(one);
  const some = new RowSubset(rows, Uint32Array.of(3, 0));
  rows.at = () => assert.fail("a row was made");
  assert.deepEqual([...rowLengths(rows)], [4, 1, 3, 2]);
  assert.deepEqual([...rowLengths(some)], [2, 4]);
});
