import assert from "node:assert/strict";
import { TransferRate } from "../../web/page/transfer_rate.ts";

Deno.test("a rate is told after a second, of the last five, with the time that the rest takes", () => {
  let ms = 0;
  const rate = new TransferRate(() => ms);
  rate.tell(0);
  ms = 900;
  rate.tell(900);
  assert.equal(rate.bytesPerSecond, null);
  assert.equal(rate.secondsFor(1), null);
  ms = 1000;
  rate.tell(1000);
  assert.equal(rate.bytesPerSecond, 1000);
  assert.equal(rate.secondsFor(5000), 5);
  for (ms = 2000; ms <= 12_000; ms += 1000) rate.tell(1000 + (ms - 1000) / 10); // a tenth as fast
  ms = 12_000;
  assert.equal(rate.bytesPerSecond, 100);
});

Deno.test("a line on which nothing comes has no end in sight", () => {
  let ms = 0;
  const rate = new TransferRate(() => ms);
  for (; ms <= 8000; ms += 500) rate.tell(700);
  assert.equal(rate.bytesPerSecond, 0);
  assert.equal(rate.secondsFor(10), null);
});

Deno.test("a count that begins anew makes no rate below zero", () => {
  let ms = 0;
  const rate = new TransferRate(() => ms);
  rate.tell(0);
  ms = 2000;
  rate.tell(5000);
  rate.tell(0);
  assert.equal(rate.bytesPerSecond, null);
  ms = 4000;
  rate.tell(2000);
  assert.equal(rate.bytesPerSecond, 1000);
});
