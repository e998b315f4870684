import assert from "node:assert/strict";
import { ExampleHashes } from "../../src/data/duplicates.ts";

function hashed(texts: readonly string[]): ExampleHashes {
  const hashes = new ExampleHashes();
  for (const text of texts) hashes.add({ kind: "text", text });
  return hashes;
}

Deno.test("ExampleHashes counts examples that came before, and those that are also among others", () => {
  const all = hashed(["a", "b", "a", "ab", "a", "c"]);
  assert.equal(all.repeats(), 2);
  const of = (...places: number[]) => (place: number) => places.includes(place);
  assert.equal(all.alsoIn(all, of(2, 3, 5), of(0, 1, 4)), 1);
  assert.equal(all.alsoIn(all, of(5), of(0, 1, 2, 3, 4)), 0);
  assert.equal(hashed(["b", "x", "c", "b"]).alsoIn(all, () => true, () => true), 3);
  assert.equal(hashed(["b"]).alsoIn(all, () => true, () => false), 0);
});

Deno.test("ExampleHashes tells 50 000 near texts apart", () => {
  assert.equal(hashed(Array.from({ length: 50_000 }, (_, i) => `row ${i}`)).repeats(), 0);
});
