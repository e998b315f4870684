import assert from "node:assert/strict";
import { IdStore } from "../../src/data/id_store.ts";
import type { Scratch } from "../../src/storage.ts";
import { openLocalScratch } from "../../src/storage/local_scratch.ts";

const CHUNK = 2 ** 18;

/** A scratch file in memory that counts what is done to it. */
class CountingScratch implements Scratch {
  bytes = new Uint8Array();
  reads = 0;
  closed = 0;

  append(bytes: Uint8Array): void {
    const both = new Uint8Array(this.bytes.length + bytes.length);
    both.set(this.bytes);
    both.set(bytes, this.bytes.length);
    this.bytes = both;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    this.reads++;
    assert.ok(offset + length <= this.bytes.length);
    return this.bytes.slice(offset, offset + length);
  }

  close(): void {
    this.closed++;
  }
}

/** An id that tells its place apart from those a chunk or a block further. */
const idAt = (place: number) => (place * 2_654_435_761 >>> 8) % 65_521;

Deno.test("IdStore keeps as much as it may in memory, and gives ids back from there and from the file", () => {
  for (const [vocabSize, size] of [[65_536, 2], [65_537, 4]] as const) {
    const scratch = new CountingScratch();
    const store = new IdStore(vocabSize, { scratch: () => scratch, memoryBytes: 2 * CHUNK * size });
    const length = 4 * CHUNK + 777;
    for (let place = 0; place < length; place++) store.append([idAt(place)], 1);
    assert.equal(store.length, length);
    // two chunks stay, two are in the file, one fills
    assert.equal(scratch.bytes.length, 2 * CHUNK * size);
    assert.equal(store.bytes, 3 * CHUNK * size);
    const whole = store.slice(0, length);
    assert.equal(whole.length, length);
    assert.ok(whole.every((id, place) => id === idAt(place)));
    for (
      const [start, end] of [
        [2 * CHUNK - 3, 2 * CHUNK + 5], // memory, then file
        [3 * CHUNK - 2, 3 * CHUNK + 2], // two blocks of the file
        [4 * CHUNK - 1, 4 * CHUNK + 1], // file, then the chunk that fills
        [length - 1, length],
        [7, 7],
      ] as const
    ) {
      assert.deepEqual(
        [...store.slice(start, end)],
        Array.from({ length: end - start }, (_, i) => idAt(start + i)),
      );
    }
    store.close();
    store.close();
    assert.equal(scratch.closed, 1);
  }
});

Deno.test("IdStore reads a block once for rows that are read in order", () => {
  const scratch = new CountingScratch();
  const store = new IdStore(9, { scratch: () => scratch, memoryBytes: 1 });
  for (let place = 0; place < 3 * CHUNK; place++) store.append([place % 9], 1);
  for (let start = CHUNK; start < 2 * CHUNK; start += 100) {
    store.slice(start, Math.min(start + 100, 2 * CHUNK));
  }
  assert.equal(scratch.reads, CHUNK / 2 ** 14);
});

Deno.test("IdStore opens no file for what fits, and keeps all where there is none", () => {
  const few = new IdStore(9, { scratch: () => assert.fail("a file was opened") });
  few.append([3], 1);
  const many = new IdStore(9);
  for (let place = 0; place < 2 * CHUNK; place++) many.append([place % 9], 1);
  assert.deepEqual([[...few.slice(0, 1)], many.bytes], [[3], 2 * CHUNK * 2]);
});

Deno.test("openLocalScratch() leaves no name behind, and refuses what was not written", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-test-" });
  try {
    const scratch = openLocalScratch(`${folder}/deep`);
    scratch.append(Uint8Array.of(1, 2, 3));
    scratch.append(Uint8Array.of(4));
    assert.deepEqual([...scratch.read(1, 3)], [2, 3, 4]);
    assert.deepEqual([...scratch.read(0, 2)], [1, 2]);
    assert.throws(() => scratch.read(2, 3), /Cannot read bytes 2\.\.5 of a scratch file as it has 4/);
    if (Deno.build.os !== "windows") {
      assert.deepEqual(await Array.fromAsync(Deno.readDir(`${folder}/deep`)), []);
    }
    scratch.close();
    assert.deepEqual(await Array.fromAsync(Deno.readDir(`${folder}/deep`)), []);
    assert.throws(
      () => openLocalScratch("/dev/null/x"),
      /Cannot keep tokens in a scratch file at "\/dev\/null\/x"/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
