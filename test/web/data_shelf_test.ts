import assert from "node:assert/strict";
import { readText } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { DataShelf } from "../../web/worker/data_shelf.ts";

const rows = (text: string, name = "rows.jsonl") => {
  return { name, content: new Blob([text]), purpose: "train" } as const;
};

Deno.test("DataShelf replaces data that no run has, and keeps that of runs beside new data of its name", async () => {
  const root = new MemoryFolder("root"), runs: { config: Record<string, unknown> }[] = [];
  const shelf = new DataShelf((uri) => root.folder(uri), () => Promise.resolve(runs));
  const data = root.folder("device/data");
  assert.equal(await shelf.keep(rows("one")), "device/data/rows.jsonl");
  assert.equal(await shelf.keep(rows("two")), "device/data/rows.jsonl");
  assert.equal(await readText(data, "rows.jsonl"), "two");

  runs.push({ config: { training_data_path: ["device/data/rows.jsonl"], eval_data_path: null } });
  assert.equal(await shelf.keep(rows("two")), "device/data/rows.jsonl", "the same content is the same file");
  assert.equal(await shelf.keep(rows("six")), "device/data/rows-2.jsonl");
  assert.equal(await readText(data, "rows.jsonl"), "two");

  runs.push({ config: { training_data_path: "device/data/rows-2.jsonl" } });
  assert.equal(await shelf.keep(rows("ten")), "device/data/rows-3.jsonl");
  assert.equal(await shelf.keep(rows("six")), "device/data/rows-2.jsonl");
});

Deno.test("DataShelf numbers names without an ending, and keeps rows to evaluate on apart", async () => {
  const root = new MemoryFolder("root");
  const runs = [{ config: { training_data_path: "device/data/rows" } }];
  const shelf = new DataShelf((uri) => root.folder(uri), () => Promise.resolve(runs));
  await shelf.keep(rows("one", "rows"));
  assert.equal(await shelf.keep(rows("two", "rows")), "device/data/rows-2");
  assert.equal(await shelf.keep({ ...rows("two", "rows"), purpose: "eval" }), "device/evaluation/rows");
});
