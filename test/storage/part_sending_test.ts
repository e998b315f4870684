import assert from "node:assert/strict";
import { crc32c } from "../../src/crc32c.ts";
import { StorageDeniedError, StorageInterruptedError } from "../../src/errors.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { MemoryStore } from "../../src/storage/memory_store.ts";
import type { Part, UnorderedUpload } from "../../src/storage/object_store.ts";
import { PartBuffers } from "../../src/storage/part_buffers.ts";
import { sendParts } from "../../src/storage/part_sending.ts";
import { noise } from "./storage_contract.ts";

const BYTES = noise(1009), PART = 100;

/** An upload in parts of 100 bytes that notes what comes. `send` is asked for each part before it arrives. */
class NotedUpload implements UnorderedUpload {
  readonly token = null;
  readonly partBytes = PART;
  readonly whole = new Uint8Array(BYTES.length);
  readonly sent: number[] = [];
  onTheirWay = 0;
  mostAtOnce = 0;

  constructor(readonly here: readonly number[] = [], readonly arrives = async (_: number) => {}) {}

  async send({ offset, bytes, crc32c: sum }: Part): Promise<void> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.onTheirWay);
    try {
      await new Promise((resolve) => setTimeout(resolve, offset % 7));
      await this.arrives(offset);
      assert.equal(crc32c(bytes), sum, "the bytes were written over");
      this.whole.set(bytes, offset);
      this.sent.push(offset / PART);
    } finally {
      this.onTheirWay--;
    }
  }

  holds({ offset }: Part): boolean {
    return this.here.includes(offset / PART);
  }

  begins(): boolean {
    return false;
  }

  finish(): Promise<never> {
    return Promise.reject(new Error("nobody asked"));
  }

  async abort(): Promise<void> {}
}

async function send(upload: NotedUpload, buffers = new PartBuffers(3)) {
  let moved = 0;
  const reader = await new MemoryFolder("m", { f: BYTES }).open("f");
  const sum = await sendParts(
    {
      store: new MemoryStore("m"),
      retries: { attempts: 3, pauseMs: 1 },
      signal: undefined,
      moved: (bytes) => moved += bytes,
      buffers,
      arrived: () => Promise.resolve(),
    },
    upload,
    reader,
  );
  return { sum, moved };
}

Deno.test("sendParts() has as many parts on their way as there are buffers, and sums them in their order", async () => {
  const upload = new NotedUpload();
  assert.deepEqual(await send(upload), { sum: crc32c(BYTES), moved: BYTES.length });
  assert.deepEqual([upload.whole, upload.mostAtOnce], [BYTES, 3]);
  assert.equal(upload.sent.length, 11);
});

Deno.test("sendParts() leaves out what the store has, wherever it lies", async () => {
  const upload = new NotedUpload([0, 3, 10]);
  assert.deepEqual(await send(upload), { sum: crc32c(BYTES), moved: BYTES.length });
  assert.deepEqual(upload.sent.sort((a, b) => a - b), [1, 2, 4, 5, 6, 7, 8, 9]);
});

Deno.test("sendParts() tries a part again on its own", async () => {
  let failures = 2;
  const upload = new NotedUpload([], (offset) => {
    if (offset !== 200 || failures-- === 0) return Promise.resolve();
    return Promise.reject(new StorageInterruptedError("cut"));
  });
  assert.deepEqual(await send(upload), { sum: crc32c(BYTES), moved: BYTES.length });
  assert.deepEqual(upload.sent.toSorted((a, b) => a - b), Array.from({ length: 11 }, (_, i) => i));
});

Deno.test("sendParts() stops at the first failure, once nothing is on its way, and gives every buffer back", async () => {
  const refusal = new StorageDeniedError("no"), buffers = new PartBuffers(3);
  const upload = new NotedUpload(
    [],
    (offset) => offset === 200 ? Promise.reject(refusal) : Promise.resolve(),
  );
  await assert.rejects(send(upload, buffers), (error) => error === refusal);
  assert.equal(upload.onTheirWay, 0);
  assert.ok(upload.sent.length < 7, `${upload.sent.length} parts were sent`);
  assert.equal((await send(new NotedUpload(), buffers)).moved, BYTES.length);
});
