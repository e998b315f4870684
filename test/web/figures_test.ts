import assert from "node:assert/strict";
import { ago, axisNumber, byteSize, clock, counted, percent } from "../../web/figures.ts";

Deno.test("figures carry their units", () => {
  assert.equal(percent(0.4523), "45.2 %");
  assert.deepEqual([0, 999, 1000, 1_048_576, 3.7e9].map(byteSize), [
    "0 B",
    "999 B",
    "1.00 kB",
    "1.05 MB",
    "3.70 GB",
  ]);
  assert.deepEqual([5, 71.6, 3600, 7325].map(clock), ["00:05", "01:12", "1:00:00", "2:02:05"]);
  assert.deepEqual([1, 1200].map((rows) => counted(rows, "row")), ["1 row", "1,200 rows"]);
});

Deno.test("ago() tells near times from now and far ones by their date", () => {
  const now = new Date("2026-03-05T12:00:00Z");
  const before = (minutes: number) => ago(new Date(now.getTime() - 60_000 * minutes), now);
  assert.deepEqual([0.2, 12, 130].map(before), ["just now", "12 min ago", "2 h ago"]);
  assert.match(before(3 * 24 * 60), /^Mar \d, 2026$/);
});

Deno.test("axisNumber() keeps learning rates apart from nothing", () => {
  assert.deepEqual([0, 2e-4, 0.00015, 0.002, 12.5, 1500, -3, null].map(axisNumber), [
    ...["0", "2e-4", "1.5e-4", "0.002", "12.5", "1500", "-3", ""],
  ]);
});
