import assert from "node:assert/strict";
import { piecesInTime, piecesOf } from "../../server/request_body.ts";

const MEGABYTE = 2 ** 20;

function megabytes(count: number): ReadableStream<Uint8Array> {
  let left = count;
  return new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(new Uint8Array(MEGABYTE));
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

Deno.test("piecesInTime() keeps no piece that was taken: a body of any length needs the memory of a few", async () => {
  const before = Deno.memoryUsage().external;
  let bytes = 0, most = 0;
  // once a promise that lived as long as the body kept all of it
  for await (
    const piece of piecesInTime(megabytes(500), { idleMs: 60_000, signal: new AbortController().signal })
  ) {
    bytes += piece.length;
    most = Math.max(most, Deno.memoryUsage().external - before);
  }
  assert.equal(bytes, 500 * MEGABYTE);
  assert.ok(most < 250 * MEGABYTE, `${most / MEGABYTE} MiB were held`);
});

Deno.test("piecesOf() counts: bodies that are too short, too long or stopped are refused", async () => {
  const read = async (count: number, bytes: number, signal = new AbortController().signal) => {
    for await (const _ of piecesOf(megabytes(count), { bytes, idleMs: 1000, signal }));
  };
  await read(2, 2 * MEGABYTE);
  await assert.rejects(read(1, 2 * MEGABYTE), { status: 400, details: { code: "wrong_length" } });
  await assert.rejects(read(3, 2 * MEGABYTE), { status: 400, details: { code: "wrong_length" } });
  await assert.rejects(read(1, MEGABYTE, AbortSignal.abort(new RangeError("enough"))), RangeError);
  const stop = new AbortController(), waiting = new ReadableStream<Uint8Array>();
  const reading = Array.fromAsync(piecesInTime(waiting, { idleMs: 60_000, signal: stop.signal }));
  stop.abort(new RangeError("enough"));
  await assert.rejects(reading, RangeError);
});
