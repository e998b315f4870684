import assert from "node:assert/strict";
import { byteChunks, type Entry } from "../../src/data/entries.ts";
import { readJsonArray } from "../../src/data/json_array.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";

async function entries(content: string, chunkBytes?: number): Promise<Entry[]> {
  const file = await new MemoryFolder("data", { "x.json": content }).open("x.json");
  return await Array.fromAsync(readJsonArray(byteChunks(file, null, chunkBytes), file.uri));
}

Deno.test("readJsonArray() gives the same records for every chunk size", async () => {
  const rows = [{ a: '[{",}]\\"' }, { b: [[1, { c: "é🙂" }], 2] }, null, "x,y", 3];
  const want = rows.map((value, i) => [i + 1, value]);
  for (const content of [JSON.stringify(rows), `\ufeff${JSON.stringify(rows, null, 2)}\n`]) {
    for (const chunkBytes of [1, 2, 3, 7, 1000]) {
      const found = await entries(content, chunkBytes);
      assert.deepEqual(found.map((entry) => entry.kind === "row" && [entry.line, entry.value]), want);
    }
  }
  assert.deepEqual(await entries(" [ ] "), []);
});

Deno.test("readJsonArray() tells bad records by their number and goes on", async () => {
  const found = await entries("[{'a': 1}, {\"a\": 1},, {}]");
  assert.deepEqual(found.map(({ kind, line }) => [kind, line]), [["bad", 1], ["row", 2], ["bad", 3], [
    "row",
    4,
  ]]);
  const [, cut] = await entries('[{"a": 1}, {"a"');
  assert.ok(cut?.kind === "bad" && cut.line === 2 && cut.endsFile);
  assert.match(cut.message, /^is cut short: the array has no closing "\]"/);
  const [, after] = await entries("[1]\n[2]");
  assert.ok(after?.kind === "bad" && after.endsFile);
  assert.match(after.message, /followed by more than the end of the array/);
});
