import assert from "node:assert/strict";
import type { TrainingEvent } from "../../src/job.ts";
import { RunState } from "../../web/page/run_state.ts";
import { stepEvent } from "../cli/fake_io.ts";

const evaluated = (step: number, evalLoss: number): TrainingEvent => {
  return { type: "evaluated", step, epoch: 0, evalLoss, evalTokens: 1 };
};

Deno.test("RunState adds events up to curves, and forgets what a lost device takes back", () => {
  const run = new RunState("signals", {});
  for (const event of [evaluated(0, 4), stepEvent(1, 3), stepEvent(2, 2), evaluated(2, 2.5)]) run.take(event);
  assert.equal(run.status.value, "running");
  assert.deepEqual(run.steps.map(({ step, loss }) => [step, loss]), [[1, 3], [2, 2]]);
  run.take({ type: "device_lost", message: "gone", step: 1, recovery: 1, mostRecoveries: 3 });
  assert.deepEqual(run.steps.map(({ step }) => step), [1]);
  assert.deepEqual(run.evaluations.map(({ step }) => step), [0]);
  run.take({ type: "device_lost", message: "gone", step: 0, recovery: 2, mostRecoveries: 3 });
  assert.deepEqual([run.steps, run.evaluations], [[], []]);
  assert.deepEqual(run.log.value.slice(-2), [
    "gone; going on from step 1 (recovery 1 of 3)",
    "gone; beginning anew (recovery 2 of 3)",
  ]);
});

Deno.test("RunState.of() shows what an earlier visit left, and offers to go on", () => {
  const row = { epoch: 0, token_accuracy: null, eval_token_accuracy: null, tokens: 9, tokens_per_second: 5 };
  const entry = {
    name: "signals",
    status: "cancelled",
    startedAt: "2026-01-01T00:00:00Z",
    steps: 2,
    totalSteps: 9,
    resumable: 2,
    baseModel: "models/tiny",
    evalLossBefore: 4,
    evalLossAfter: null,
    serverJob: null,
    error: null,
    config: { lora_r: 8 },
  } as const;
  const metrics = [
    { ...row, step: 0, loss: null, eval_loss: 4, learning_rate: null, grad_norm: null },
    { ...row, step: 1, loss: 3, eval_loss: null, learning_rate: 0.1, grad_norm: 1 },
    { ...row, step: 2, loss: 1, eval_loss: 2, learning_rate: 0.1, grad_norm: 1 },
  ];
  const sample = { prompt: "p", expected: "e", answer: "a" };
  const rounds = [{ step: 0, samples: [sample], exact_match: null }];
  const holdings = {
    files: [{ path: "run.json", bytes: 3 }],
    checkpoints: [{ step: 2, bytes: 9 }],
    hasAdapter: false,
  };
  const run = RunState.of({ entry, metrics, rounds, ...holdings });
  assert.equal(run.status.value, "paused");
  assert.equal(run.resumable.value, 2);
  assert.equal(run.summary.value, "Training loss 3.00 → 1.00 over 2 steps; evaluation loss 4.00 → 2.00.");
  assert.deepEqual(run.rounds.value[0]!.samples, [sample]);
  const done = RunState.of({
    entry: { ...entry, status: "completed", resumable: null, evalLossAfter: 2 },
    metrics,
    rounds,
    ...holdings,
    hasAdapter: true,
  });
  assert.equal(done.status.value, "completed");
  assert.match(done.verdict.value, /^Evaluation loss 4\.000 before, 2\.000 after\./);
  const failed = RunState.of({
    entry: { ...entry, status: "failed", error: "The loss is not finite at step 3" },
    metrics,
    rounds,
    ...holdings,
  });
  assert.deepEqual([failed.status.value, failed.resumable.value], ["failed", 2]);
  assert.equal(failed.live.value, "Failed; the checkpoint after step 2 is kept.");
  assert.equal(failed.problem.value?.message, "The loss is not finite at step 3");
});

Deno.test("RunState keeps each round of answers, and waits for those that were asked for", () => {
  const run = new RunState("signals", {});
  const sampled = (step: number, answer: string): TrainingEvent => {
    return {
      type: "sampled",
      step,
      samples: [{ prompt: "p", expected: null, answer }],
      exactMatch: null,
      rows: 0,
    };
  };
  run.take(sampled(0, "a"));
  run.answering();
  assert.equal(run.isAnswering.value, true);
  for (const event of [sampled(3, "b"), sampled(6, "c"), sampled(6, "d")]) run.take(event);
  assert.equal(run.isAnswering.value, false);
  const kept = () => run.rounds.value.map(({ step, samples: [sample] }) => [step, sample!.answer]);
  assert.deepEqual(kept(), [[0, "a"], [3, "b"], [6, "d"]]);
  run.take({ type: "resumed", step: 4, path: "runs/signals/checkpoint-4" });
  assert.deepEqual(kept(), [[0, "a"], [3, "b"]]);
});
