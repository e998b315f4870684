import assert from "node:assert/strict";
import { scheduleIssues, type ScheduleKwargs, type ScheduleType } from "../../src/config/scheduler_kwargs.ts";

const messages = (type: ScheduleType, kwargs: ScheduleKwargs, base = 1e-3) =>
  scheduleIssues(type, kwargs, base).map(({ path, message }) => `${path} ${message}`);

Deno.test("scheduleIssues() names options that a schedule does not take, with those that it takes", () => {
  assert.deepEqual(messages("cosine", { num_cycle: 2 }), [
    'lr_scheduler_kwargs "num_cycle" is no option of cosine, which takes num_cycles: did you mean "num_cycles"?',
  ]);
  assert.deepEqual(messages("linear", { constructor: 1 }), [
    'lr_scheduler_kwargs "constructor" is no option of linear, which takes no options',
  ]);
});

Deno.test("scheduleIssues() says what a value must be", () => {
  assert.deepEqual(
    messages("warmup_stable_decay", { num_decay_steps: 1.5, decay_type: "sqrt", min_lr_ratio: 2 }),
    [
      "lr_scheduler_kwargs num_decay_steps must be a whole number of at least 0: current value is 1.5",
      'lr_scheduler_kwargs decay_type must be one of linear, cosine, 1-sqrt: current value is "sqrt"',
      "lr_scheduler_kwargs min_lr_ratio must be a number in 0..1: current value is 2",
    ],
  );
  assert.deepEqual(messages("greedy", { smooth: "yes", factor: 1 }), [
    'lr_scheduler_kwargs smooth must be true or false: current value is "yes"',
    "lr_scheduler_kwargs factor must be a number above 0 and below 1: current value is 1",
  ]);
});

Deno.test("scheduleIssues() knows what transformers wants together", () => {
  for (const type of ["cosine_with_min_lr", "cosine_warmup_with_min_lr"] as const) {
    assert.match(messages(type, {})[0]!, /must hold either min_lr or min_lr_rate/);
    assert.match(messages(type, { min_lr: 1e-5, min_lr_rate: 0.1 })[0]!, /must hold either/);
    assert.deepEqual(messages(type, { min_lr: 1e-5 }), []);
  }
  assert.match(messages("warmup_stable_decay", {})[0]!, /must hold num_decay_steps/);
  assert.match(messages("polynomial", { lr_end: 1e-3 })[0]!, /lr_end must be below learning_rate \(0\.001\)/);
  assert.deepEqual(messages("polynomial", {}), []);
});
