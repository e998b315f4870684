import assert from "node:assert/strict";
import { allreduceSeconds, fitLink, type Link, speedup, stepSeconds } from "../../bench/scaling/links.ts";

const LINK: Link = { name: "a", latencySeconds: 1e-5, bytesPerSecond: 2e9 };
const WORK = { microBatches: 8, microBatchSeconds: 0.5, onceSeconds: 0.01, bytes: 1e7 };

/** Up to the rounding of sums. */
const near = (got: number, want: number) =>
  assert.ok(Math.abs(got - want) <= 1e-9 * Math.abs(want), `${got} ${want}`);

Deno.test("allreduceSeconds() is that of a ring", () => {
  assert.equal(allreduceSeconds(1, 1e9, LINK), 0);
  near(allreduceSeconds(2, 1e7, LINK), 2e-5 + 1e7 / 2e9);
  near(allreduceSeconds(4, 1e7, LINK), 6e-5 + 1.5 * 1e7 / 2e9);
});

Deno.test("fitLink() finds the link that allreduces went over, from two ranks and from eight", () => {
  for (const ranks of [2, 8]) {
    const transfers = [1e4, 1e6, 1e8].map((bytes) => ({
      bytes,
      seconds: allreduceSeconds(ranks, bytes, LINK),
    }));
    const found = fitLink("a", ranks, transfers);
    near(found.latencySeconds, LINK.latencySeconds);
    near(found.bytesPerSecond, LINK.bytesPerSecond);
  }
  assert.throws(() => fitLink("a", 2, [{ bytes: 4, seconds: 1 }]), /fewer than two sizes/);
});

Deno.test("stepSeconds() shares out whole micro-batches, and ranks beyond their number gain nothing", () => {
  near(stepSeconds(1, WORK, LINK), 4.01);
  near(stepSeconds(4, WORK, LINK), 1.01 + allreduceSeconds(4, 1e7, LINK));
  assert.ok(stepSeconds(16, WORK, LINK) > stepSeconds(8, WORK, LINK));
  near(speedup(2, WORK, LINK), 4.01 / stepSeconds(2, WORK, LINK));
});
