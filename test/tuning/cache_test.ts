import assert from "node:assert/strict";
import { readText, writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { TUNING_FILE, TuningCache, type TuningEntry, tuningKey } from "../../src/tuning/cache.ts";

const ENTRY: TuningEntry = {
  adapter: "a GPU",
  op: "forward",
  sizes: [{ rows: 1, cols: 2, inner: 3, count: 4 }],
  operands: "storage",
  tile: { TILE_ROWS: 8 },
  measuredAt: "2026-01-01T00:00:00.000Z",
  seconds: 0.5,
  compileSeconds: 1,
};

Deno.test("TuningCache keeps measurements from one run to the next", async () => {
  const folder = new MemoryFolder("cache");
  const first = await TuningCache.open(folder);
  assert.equal(first.get("key"), undefined);
  first.set("key", ENTRY);
  await first.save();
  assert.deepEqual((await TuningCache.open(folder)).get("key"), ENTRY);
});

Deno.test("TuningCache takes a damaged file, and damaged entries, for none", async () => {
  const folder = new MemoryFolder("cache");
  const entries = async (text: string) => {
    await writeFile(folder, TUNING_FILE, text);
    return (await TuningCache.open(folder)).entries.length;
  };
  assert.equal(await entries("{ not json"), 0);
  assert.equal(await entries(JSON.stringify({ format: 99, entries: { key: ENTRY } })), 0);
  const bad = { ...ENTRY, seconds: "soon" };
  assert.equal(await entries(JSON.stringify({ format: 1, entries: { bad, key: ENTRY } })), 1);
});

Deno.test("TuningCache writes only what is new, and forgets the oldest beyond its limit", async () => {
  const folder = new MemoryFolder("cache");
  const cache = await TuningCache.open(folder);
  await cache.save();
  assert.deepEqual(await folder.list(), []);
  for (let i = 0; i < 501; i++) cache.set(`${i}`, ENTRY);
  await cache.save();
  const kept = Object.keys(JSON.parse(await readText(folder, TUNING_FILE)).entries);
  assert.deepEqual([kept.length, kept.includes("0"), kept.includes("500")], [500, false, true]);
});

Deno.test("tuningKey() tells apart what differs in any part", async () => {
  const key = await tuningKey({ adapter: "a", text: "x" });
  assert.match(key, /^[0-9a-f]{24}$/);
  assert.equal(await tuningKey({ adapter: "a", text: "x" }), key);
  assert.notEqual(await tuningKey({ adapter: "a", text: "y" }), key);
});
