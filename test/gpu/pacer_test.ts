import assert from "node:assert/strict";
import { Pacer, unitsOf } from "../../src/gpu/pacer.ts";

const close = (got: number, want: number) =>
  assert.ok(Math.abs(got - want) <= 1e-9 * want, `${got}, not ${want}`);

Deno.test("Pacer sizes submissions by what earlier ones took", () => {
  const pacer = new Pacer(50, 1e9);
  close(pacer.unitsPerSubmission, 5e7);
  for (let run = 0; run < 60; run++) pacer.note(1e8, 1000 * run, 1000 * run + 10); // 1e7 units a ms
  close(pacer.unitsPerSubmission, 5e8);
});

Deno.test("Pacer counts only from when the GPU was free", () => {
  const pacer = new Pacer(50, 1e9);
  pacer.note(1e8, 0, 100); // as guessed
  pacer.note(1e8, 0, 200); // waited for the first
  close(pacer.unitsPerSubmission, 5e7);
});

Deno.test("Pacer times a few runs at first and few later, and none where all goes at once", () => {
  const timed = (pacer: Pacer) => Array.from({ length: 130 }, () => pacer.nextIsTimed());
  const some = timed(new Pacer(50, 1e9)).flatMap((is, run) => is ? [run] : []);
  assert.deepEqual(some, [0, 1, 2, 64, 128]);
  const whole = new Pacer(Infinity, 1e9);
  assert.equal(whole.unitsPerSubmission, Infinity);
  assert.ok(!timed(whole).includes(true));
  assert.throws(() => new Pacer(0, 1e9), /must last longer than 0 ms/);
});

Deno.test("unitsOf() counts what takes longer, arithmetic or memory", () => {
  const nothing = unitsOf({ flops: 0, bytesRead: 0, bytesWritten: 0 });
  const units = (flops: number, bytesRead: number, bytesWritten: number) =>
    unitsOf({ flops, bytesRead, bytesWritten }) - nothing;
  assert.equal(units(1e9, 1e3, 1e3), 1e9);
  assert.equal(units(1e3, 1e6, 5e5), 24e6);
});
