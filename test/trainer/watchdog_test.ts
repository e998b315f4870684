import assert from "node:assert/strict";
import { Watchdog } from "../../src/trainer/watchdog.ts";

const OPTIONS = { threshold: 5, patience: 3, vocabSize: 261 };
const report = (step: number, loss: number) => ({ step, loss, learningRate: 0.01 });

function watching(
  losses: readonly number[],
  options: Partial<typeof OPTIONS | { threshold: null }> = {},
): Watchdog {
  const watchdog = new Watchdog({ ...OPTIONS, ...options });
  losses.forEach((loss, i) => watchdog.watch(report(i + 1, loss)));
  return watchdog;
}

Deno.test("Watchdog fails a run at the last report beyond the threshold that is borne", () => {
  const watchdog = watching([6, 6, 5, 6, 7]);
  assert.ok(watchdog.alarmed);
  assert.throws(() => watchdog.watch(report(6, 8.25)), {
    name: "DivergedError",
    step: 6,
    message:
      "The loss has exploded at step 6: 8.250, above 5.000 in 3 reports in a row (learning rate 0.0100): lower " +
      "learning_rate, set max_grad_norm, or raise loss_watchdog_threshold if such a loss is expected",
  });
});

Deno.test("Watchdog bears a bad start, and without a threshold means twice guessing and twice the least loss", () => {
  const auto = { threshold: null };
  assert.ok(!watching([15, 15, 15, 15, 14], auto).alarmed);
  assert.ok(!watching([15, 3, 11.1], auto).alarmed); // 2 ln 261 is 11.13
  assert.ok(watching([15, 3, 11.2], auto).alarmed);
  assert.ok(!watching([15, 8, 15.9], auto).alarmed);
  assert.throws(() => watching([15, 3, 12, 12, 12], auto), /above 11\.13 in 3 reports/);
});

Deno.test("Watchdog lets everything pass with a patience of 0, and goes on from its state", () => {
  assert.ok(!watching([99, 99, 99, 99], { patience: 0 }).alarmed);
  const other = new Watchdog(OPTIONS);
  other.restore(JSON.parse(JSON.stringify(watching([4, 6, 6]).state)));
  assert.deepEqual(other.state, { alarms: 2, least: 4 });
  assert.throws(() => other.watch(report(4, 6)), /in 3 reports in a row/);
});
