import assert from "node:assert/strict";
import { TokenAccuracy } from "../../web/page/token_accuracy.ts";
import { stepEvent } from "../cli/fake_io.ts";

const step = (at: number, tokenAccuracy: number) => ({ ...stepEvent(at, 1), tokenAccuracy } as const);
const evaluated = (at: number, evalTokenAccuracy: number) =>
  ({ type: "evaluated", step: at, epoch: 0, evalLoss: 1, evalTokens: 1, evalTokenAccuracy }) as const;

Deno.test("TokenAccuracy tells first and last shares of training and of evaluations", () => {
  const accuracy = new TokenAccuracy();
  assert.equal(accuracy.summary, "");
  accuracy.add(evaluated(0, 0.0191));
  assert.equal(accuracy.summary, "Token accuracy: evaluation 1.9 %.");
  for (const event of [step(1, 0.02), step(2, 0.3), step(3, 1), evaluated(3, 0.5)]) accuracy.add(event);
  assert.equal(accuracy.summary, "Token accuracy: training 2.0 % → 100.0 %, evaluation 1.9 % → 50.0 %.");
});

Deno.test("TokenAccuracy forgets what a run does again, and says nothing where nobody counted", () => {
  const accuracy = new TokenAccuracy();
  for (const event of [evaluated(0, 0.1), step(1, 0.2), step(2, 0.3), evaluated(2, 0.4)]) accuracy.add(event);
  accuracy.cutAfter(1);
  assert.equal(accuracy.summary, "Token accuracy: training 20.0 %, evaluation 10.0 %.");
  accuracy.clear();
  accuracy.add(stepEvent(1, 2));
  assert.equal(accuracy.summary, "");
});
