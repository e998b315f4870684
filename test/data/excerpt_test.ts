import assert from "node:assert/strict";
import { excerptOf } from "../../src/data/excerpt.ts";

Deno.test("excerptOf() gives a short line whole, and of a long one the part around the place", () => {
  assert.deepEqual(excerptOf("short", 2), { text: "short", before: 0, after: 0, at: 2 });
  assert.deepEqual(excerptOf("short"), { text: "short", before: 0, after: 0 });
  const long = "a".repeat(5000) + "!" + "b".repeat(5000);
  const { text, before, after, at } = excerptOf(long, 5000);
  assert.equal(before + text.length + after, long.length);
  assert.equal(text[at!], "!");
  for (const place of [0, 5, long.length - 1, long.length]) {
    const found = excerptOf(long, place);
    assert.equal(found.before + found.at!, place);
    assert.equal(found.before + found.text.length + found.after, long.length);
  }
  assert.equal(excerptOf(long).before, 0);
});
