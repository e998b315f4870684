import assert from "node:assert/strict";
import { lossSummary, roundTicks } from "../../web/loss_chart.ts";

Deno.test("roundTicks() spans the values with round numbers", () => {
  assert.deepEqual(roundTicks(3.16, 4.44, 4), [3, 3.5, 4, 4.5]);
  assert.deepEqual(roundTicks(0, 60, 5), [0, 20, 40, 60]);
  assert.deepEqual(roundTicks(0.0012, 0.0048, 4), [0.001, 0.002, 0.003, 0.004, 0.005]);
  assert.deepEqual(roundTicks(-1, 1, 4), [-1, -0.5, 0, 0.5, 1]);
});

Deno.test("roundTicks() gives a span to a single value", () => {
  for (const value of [0, 2, 2.5, 1e-3]) {
    const ticks = roundTicks(value, value, 4);
    assert.ok(ticks.length >= 2 && ticks[0]! <= value && ticks.at(-1)! >= value, `${value}: ${ticks}`);
  }
});

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
