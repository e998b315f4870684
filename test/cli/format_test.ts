import assert from "node:assert/strict";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFigures,
  formatLearningRate,
  formatRate,
  formatShare,
} from "../../src/cli/format.ts";

Deno.test("formatRate() keeps two or three characters before the unit, across every boundary", () => {
  const got = [0, 9.94, 9.95, 85.4, 999.4, 999.6, 3100, 9_949, 9_951, 12_345, 999_499, 999_501, 1.24e6].map(
    formatRate,
  );
  assert.deepEqual(got, [
    "0.0",
    "9.9",
    "10",
    "85",
    "999",
    "1.0k",
    "3.1k",
    "9.9k",
    "10k",
    "12k",
    "999k",
    "1.0M",
    "1.2M",
  ]);
});

Deno.test("formatDuration() shows hours only when there are any, and dashes for the unknown", () => {
  const got = [0, 59.6, 134, 3599, 3600, 90_061, Infinity, Number.NaN, -1].map(formatDuration);
  assert.deepEqual(got, [
    "00:00",
    "01:00",
    "02:14",
    "59:59",
    "1:00:00",
    "25:01:01",
    "--:--",
    "--:--",
    "--:--",
  ]);
});

Deno.test("formatBytes() counts in powers of 1024", () => {
  const got = [0, 1023, 1024, 1536, 1024 ** 2, 5.2 * 1024 ** 3].map(formatBytes);
  assert.deepEqual(got, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.2 GiB"]);
});

Deno.test("formatCount(), formatLearningRate() and formatShare() round for reading", () => {
  assert.equal(formatCount(260_032), "260,032");
  assert.deepEqual([1.8e-4, 0, 1].map(formatLearningRate), ["1.8e-4", "0", "1.0e+0"]);
  assert.equal(formatShare(12_352, 260_032), "4.75 %");
  assert.equal(formatShare(123, 1_000_000), "0.012 %");
  assert.equal(formatShare(0, 0), "0 %");
});

Deno.test("formatFigures() keeps three figures and needs no exponent", () => {
  assert.deepEqual([0.05123, 4.836, 48.36, 99.96, 1234.5, 0].map(formatFigures), [
    "0.0512",
    "4.84",
    "48.4",
    "100",
    "1,235",
    "0.00",
  ]);
});
