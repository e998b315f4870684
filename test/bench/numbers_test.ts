import assert from "node:assert/strict";
import { interleave, outcomeOf, speedUp } from "../../bench/clock.ts";
import { rateOf, spreadOf } from "../../bench/statistics.ts";
import { formatRatio, formatSpread, table } from "../../bench/table.ts";

Deno.test("spreadOf() gives the middle value, or the mean of the two in the middle", () => {
  assert.deepEqual(spreadOf([5, 1, 9]), { median: 5, least: 1, most: 9 });
  assert.deepEqual(spreadOf([10, 2, 4, 100]), { median: 7, least: 2, most: 100 });
  assert.deepEqual(spreadOf([3]), { median: 3, least: 3, most: 3 });
  assert.throws(() => spreadOf([]), /^RangeError: Cannot take the median of no measurements$/);
});

Deno.test("rateOf() turns the least time into the most rate", () => {
  assert.deepEqual(rateOf(100, { median: 10, least: 5, most: 20 }), { median: 10, least: 5, most: 20 });
  assert.deepEqual(rateOf(1, { median: 4, least: 2, most: 8 }), { median: 0.25, least: 0.125, most: 0.5 });
});

Deno.test("interleave() throws each contender's first round away and then takes turns", async () => {
  const calls: string[] = [];
  const contender = (name: string, wallMs: number) => ({
    name,
    round: () => Promise.resolve({ wallMs: wallMs * calls.push(name), cpuMs: 1 }),
  });
  const [first, second] = await interleave([contender("a", 1), contender("b", 10)], 2);
  assert.equal(calls.join(""), "ababab");
  assert.deepEqual(first!.rounds.map(({ wallMs }) => wallMs), [3, 5]);
  assert.deepEqual(second!.wallMs, { median: 50, least: 40, most: 60 });
});

Deno.test("speedUp() compares neighbours: a slow minute that falls on both changes nothing", () => {
  const rounds = (wallMs: number[]) => wallMs.map((wall) => ({ wallMs: wall, cpuMs: 2 * wall }));
  const ours = outcomeOf("ours", rounds([1, 10, 100])), theirs = outcomeOf("theirs", rounds([3, 30, 300]));
  assert.deepEqual(speedUp(ours, theirs), { median: 3, least: 3, most: 3 });
  assert.equal(speedUp(theirs, ours, "cpuMs").median, 1 / 3);
});

Deno.test("table() keeps a cell in its column whatever it holds", () => {
  assert.equal(
    table(["a", "b"], [["x | y", "two\nlines"]]),
    "| a | b |\n| --- | --- |\n| x \\| y | two lines |",
  );
});

Deno.test("formatSpread() and formatRatio() keep the figures that count", () => {
  assert.equal(formatSpread({ median: 1234.5, least: 1200, most: 1300 }, 1e-3), "1.23 (1.20 to 1.30)");
  assert.equal(formatRatio(3.14159), "3.14×");
  assert.equal(formatRatio(23.4), "23×");
});
