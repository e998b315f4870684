import assert from "node:assert/strict";
import { type TransferEvent, transferEvents } from "../src/transfer_events.ts";

const TRANSFER = { direction: "download", what: "data" } as const;
const counts = (files: number, bytes: number) => ({ files, totalFiles: 2, bytes, totalBytes: 30 });
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

Deno.test("transferEvents() tells of a move as it goes, ends with all of it, and gives what it gave", async () => {
  const events = transferEvents(TRANSFER, async (onProgress) => {
    onProgress(counts(0, 10));
    await pause(250);
    onProgress(counts(1, 20)); // overtaken before it is told
    onProgress(counts(2, 30));
    return "moved";
  });
  const told: TransferEvent[] = [];
  let next = await events.next();
  for (; !next.done; next = await events.next()) told.push(next.value);
  assert.equal(next.value, "moved");
  assert.deepEqual(told, [
    { type: "transfer", ...TRANSFER, ...counts(0, 10) },
    { type: "transfer", ...TRANSFER, ...counts(2, 30) },
  ]);
});

Deno.test("transferEvents() throws what the move threw", async () => {
  const events = transferEvents(TRANSFER, () => Promise.reject(new RangeError("cut")));
  await assert.rejects(() => Array.fromAsync(events), new RangeError("cut"));
});

Deno.test("transferEvents() stops the move when nobody asks for its events any more, and waits for its end", async () => {
  let isOver = false;
  const events = transferEvents(TRANSFER, async (onProgress, signal) => {
    onProgress(counts(0, 1));
    await new Promise((done) => signal.addEventListener("abort", done));
    isOver = true;
  });
  for await (const { bytes } of events) {
    assert.equal(bytes, 1);
    break;
  }
  assert.ok(isOver);
});

Deno.test("transferEvents() hands the run's signal on", async () => {
  const stop = new AbortController();
  const events = transferEvents({ ...TRANSFER, signal: stop.signal }, (_, signal) => {
    stop.abort(new Error("stop"));
    return Promise.reject(signal.reason);
  });
  await assert.rejects(() => Array.fromAsync(events), new Error("stop"));
});
