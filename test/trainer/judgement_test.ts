import assert from "node:assert/strict";
import { Judgement } from "../../src/trainer/judgement.ts";

const OPTIONS = {
  metricForBestModel: "eval_loss",
  earlyStoppingPatience: 2,
  earlyStoppingThreshold: 0.1,
} as const;

function judged(
  losses: readonly number[],
  options: Partial<ConstructorParameters<typeof Judgement>[0]> = {},
) {
  const judgement = new Judgement({ ...OPTIONS, ...options });
  const best = losses.map((loss, i) => judgement.add({ step: i + 1, loss, accuracy: 1 - loss / 10 }));
  return { judgement, best };
}

Deno.test("Judgement keeps the best evaluation, though it gained less than early stopping asks for", () => {
  const { judgement, best } = judged([2, 1.5, 1.45, 1.5]);
  assert.deepEqual(best, [true, true, true, false]);
  assert.deepEqual(judgement.best, { step: 3, metric: 1.45, eval_loss: 1.45 });
  assert.ok(judgement.stops); // 1.45 gained 0.05 only
  assert.match(
    judgement.reason,
    /^stopping early: eval_loss has not improved by more than 0\.1 in 2 evaluations, the best was 1\.450 after step 3$/,
  );
});

Deno.test("Judgement counts anew after a gain, and does not stop with a patience of 0", () => {
  assert.ok(!judged([2, 2, 1.5, 1.5]).judgement.stops);
  assert.ok(judged([2, 2, 1.5, 1.5, 1.5]).judgement.stops);
  assert.ok(!judged([1, 2, 3, 4, 5], { earlyStoppingPatience: 0 }).judgement.stops);
});

Deno.test("Judgement by accuracy takes more for better, and the first of equals", () => {
  const { judgement, best } = judged([2, 1, 1], { metricForBestModel: "eval_mean_token_accuracy" });
  assert.deepEqual(best, [true, true, false]);
  assert.deepEqual(judgement.best, { step: 2, metric: 0.9, eval_loss: 1 });
});

Deno.test("Judgement goes on from its state as if it had not been stopped", () => {
  const losses = [2, 1.5, 1.45];
  const { judgement } = judged(losses);
  const other = new Judgement(OPTIONS);
  other.restore(JSON.parse(JSON.stringify(judgement.state)));
  assert.ok(!other.stops);
  assert.ok(!other.add({ step: 4, loss: 1.46, accuracy: 0 }));
  assert.ok(other.stops);
});
