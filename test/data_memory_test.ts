import assert from "node:assert/strict";
import { TokenRows } from "../src/data/token_rows.ts";
import { DataManager, type DataManagerOptions } from "../src/data_manager.ts";
import { DatasetFormatError } from "../src/errors.ts";
import type { Scratch } from "../src/storage.ts";
import { openLocalScratch } from "../src/storage/local_scratch.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { chatTokenizer } from "./helpers/tiny_tokenizer.ts";

/** A scratch file on the disk that counts what is done to it. */
function counted(): { open: () => Scratch; appended: () => number; closed: () => number } {
  let bytes = 0, ended = 0;
  const open = () => {
    const scratch = openLocalScratch(null);
    return {
      append: (part: Uint8Array) => {
        bytes += part.length;
        scratch.append(part);
      },
      read: (offset: number, length: number) => scratch.read(offset, length),
      close: () => {
        ended++;
        scratch.close();
      },
    };
  };
  return { open, appended: () => bytes, closed: () => ended };
}

const ROWS = 3000;
const data = (last = "") =>
  Array.from({ length: ROWS }, (_, i) => `{"text":"row ${i} ${"abcdefgh".repeat(24)}"}\n`).join("") + last;

async function load(content: string, more: Partial<DataManagerOptions>) {
  const folder = new MemoryFolder("data", { "train.jsonl": content });
  const manager = new DataManager({
    files: (name) => ({ folder, name }),
    tokenizer: await chatTokenizer(),
    ...more,
  });
  return await manager.load({
    trainingDataPath: "train.jsonl",
    evalDataPath: null,
    trainTestSplit: 0.1,
    dataFormat: "auto",
    maxLength: 512,
    seed: 42,
  });
}

Deno.test("load() gives the same rows from a scratch file as from memory, and closes it", async () => {
  const scratch = counted();
  const kept = await load(data(), {}),
    spilled = await load(data(), { scratch: scratch.open, memoryBytes: 1 });
  assert.ok(scratch.appended() > 0, "nothing was spilled");
  assert.deepEqual([spilled.train.length, spilled.eval.length], [2700, 300]);
  for (const side of ["train", "eval"] as const) {
    // from the last row to the first, then in order: each must come from the right block
    for (let row = kept[side].length - 1; row >= 0; row--) {
      assert.deepEqual(spilled[side].at(row), kept[side].at(row));
    }
    assert.deepEqual([...spilled[side]], [...kept[side]]);
  }
  assert.equal(scratch.closed(), 0);
  spilled.close();
  assert.equal(scratch.closed(), 1);
  kept.close();
});

Deno.test("load() closes the scratch file where the data are refused", async () => {
  const scratch = counted();
  await assert.rejects(
    load(data("not JSON\n"), { scratch: scratch.open, memoryBytes: 1 }),
    DatasetFormatError,
  );
  assert.ok(scratch.appended() > 0, "nothing was spilled");
  assert.equal(scratch.closed(), 1);
});

Deno.test("TokenRows of 40 million ids take half of their size in memory", () => {
  const rows = new TokenRows(49_152, { scratch: () => openLocalScratch(null) });
  const length = 500, count = 80_000, MiB = 2 ** 20;
  const inputIds = Int32Array.from({ length }, (_, t) => 97 * t % 49_152);
  const before = Deno.memoryUsage().rss;
  for (let i = 0; i < count; i++) {
    inputIds[0] = i % 49_152;
    rows.push({ ids: inputIds, labels: inputIds });
  }
  const grown = Deno.memoryUsage().rss - before;
  assert.ok(grown < 40 * MiB, `${Math.round(grown / MiB)} MiB for ${2 * count * length / MiB} MiB of ids`);
  for (const row of [0, 1, 16_776, 16_777, 50_000, count - 1]) {
    const found = rows.at(row)!;
    assert.deepEqual([found.inputIds.length, found.inputIds[0], found.inputIds[499]], [
      length,
      row % 49_152,
      97 * 499 % 49_152,
    ]);
  }
  rows.close();
});
