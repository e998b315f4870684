import assert from "node:assert/strict";
import { MOST_TOKENS, passesOf, type PlacedToken } from "../../src/generate/passes.ts";

/** Tokens of one row from a position on; ids tell row and position apart. */
const tokensOf = (row: number, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i): PlacedToken => {
    return { id: 10_000 * row + from + i, row, position: from + i, wanted: from + i === to - 1 };
  });

const shapes = (tokens: readonly PlacedToken[]) =>
  passesOf(tokens).map(({ slots, prompts }) => [slots.length, prompts?.rowLength ?? null]);

Deno.test("passesOf() runs whole prompts padded, those of like length together, and the rest one behind the other", () => {
  const tokens = [
    ...tokensOf(0, 0, 17),
    ...tokensOf(1, 5, 8),
    ...tokensOf(2, 0, 20),
    ...tokensOf(3, 0, 3),
    ...tokensOf(4, 0, 1),
  ];
  const [whole, others] = passesOf(tokens);
  assert.deepEqual(whole!.prompts, { rowLength: 32, lengths: [3, 17, 20] });
  const ids = whole!.slots.map((token) => token?.id ?? -1);
  assert.equal(ids.length, 3 * 32);
  assert.deepEqual(ids.slice(0, 4), [30_000, 30_001, 30_002, -1]);
  assert.deepEqual(ids.slice(32 + 15, 32 + 18), [15, 16, -1]);
  assert.equal(others!.prompts, null);
  assert.deepEqual(others!.slots.map((token) => token?.id ?? -1), [10_005, 10_006, 10_007, 40_000]);
});

Deno.test("passesOf() keeps every pass within its bounds and every token in one of them", () => {
  const tokens = [
    ...Array.from({ length: 70 }, (_, row) => tokensOf(row, 0, 30 + row)).flat(),
    ...tokensOf(70, 0, MOST_TOKENS + 1),
    ...tokensOf(71, 100, 103),
  ];
  const passes = passesOf(tokens);
  assert.ok(passes.every(({ slots }) => slots.length <= MOST_TOKENS));
  const ids = passes.flatMap(({ slots }) => slots.flatMap((token) => token?.id ?? []));
  assert.deepEqual([...ids].sort((a, b) => a - b), tokens.map(({ id }) => id).sort((a, b) => a - b));
  // a prompt too long for one pass goes in order, so that the cache holds what each token looks at
  const long = ids.filter((id) => Math.floor(id / 10_000) === 70);
  assert.deepEqual(long, tokensOf(70, 0, MOST_TOKENS + 1).map(({ id }) => id));
});

Deno.test("passesOf() keeps prompts apart where padding would more than double one", () => {
  const tokens = [3, 20, 33, 70].flatMap((length, row) => tokensOf(row, 0, length));
  assert.deepEqual(shapes(tokens), [[2 * 32, 32], [2 * 80, 80]]);
  assert.deepEqual(shapes([...tokensOf(0, 0, 9), ...tokensOf(1, 0, 40)]), [[16, 16], [48, 48]]);
});

Deno.test("passesOf() gives the newest tokens of few or many rows one pass of a power of two", () => {
  const newest = (rows: number) => Array.from({ length: rows }, (_, row) => tokensOf(row, 9, 10)).flat();
  assert.deepEqual(shapes(newest(1)), [[1, null]]);
  assert.deepEqual(shapes(newest(200)), [[256, null]]);
  assert.deepEqual(shapes(tokensOf(0, 0, MOST_TOKENS)), [[MOST_TOKENS, MOST_TOKENS]]);
});
