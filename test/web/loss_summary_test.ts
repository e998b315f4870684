import assert from "node:assert/strict";
import { lossSummary, smoothed } from "../../web/loss_summary.ts";

Deno.test("lossSummary() tells the curve in a sentence", () => {
  const point = (step: number, loss: number) => ({ step, loss });
  assert.equal(lossSummary([], []), "No loss yet.");
  assert.equal(lossSummary([], [point(0, 3.3)]), "Evaluation loss 3.30.");
  assert.equal(lossSummary([point(1, 3.2)], []), "Training loss 3.20 → 3.20 over 1 step.");
  assert.equal(
    lossSummary([point(1, 3.214), point(60, 1.1)], [point(0, 3.3), point(60, 0.00204)]),
    "Training loss 3.21 → 1.10 over 60 steps; evaluation loss 3.30 → 0.0020.",
  );
});

Deno.test("smoothed() is a weighted mean of what came before, from the first value on", () => {
  assert.deepEqual(smoothed([4], 0.5), [4]);
  assert.deepEqual(smoothed([3, 3, 3], 0.9).map((value) => Number(value.toFixed(12))), [3, 3, 3]);
  const [first, second, third] = smoothed([8, 2, 5], 0.5) as [number, number, number];
  assert.equal(first, 8);
  assert.equal(second, (0.5 * 8 + 2) / 1.5);
  assert.equal(third, (0.25 * 8 + 0.5 * 2 + 5) / 1.75);
});
