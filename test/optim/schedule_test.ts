import assert from "node:assert/strict";
import {
  learningRateAt,
  type Schedule,
  type ScheduleType,
  warmupStepCount,
} from "../../src/optim/schedule.ts";

const rates = (type: ScheduleType, rest: Partial<Schedule> = {}, steps = 10) =>
  Array.from(
    { length: steps },
    (_, step) => learningRateAt(step, { type, baseLearningRate: 8, warmupSteps: 2, totalSteps: 10, ...rest }),
  );

Deno.test("learningRateAt(linear) climbs from 0 and falls to 0 one step after the last", () => {
  assert.deepEqual(rates("linear", {}, 12), [0, 4, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]);
});

Deno.test("learningRateAt(constant_with_warmup) stays after warmup, constant has none", () => {
  assert.deepEqual(rates("constant_with_warmup", {}, 5), [0, 4, 8, 8, 8]);
  assert.deepEqual(rates("constant", {}, 5), [8, 8, 8, 8, 8]);
});

Deno.test("learningRateAt(cosine) is half of the base in the middle of the fall", () => {
  const got = rates("cosine");
  assert.deepEqual(got.slice(0, 3), [0, 4, 8]);
  assert.equal(got[6], 8 * 0.5 * (1 + Math.cos(Math.PI / 2)));
  assert.ok(Math.abs(got[9]! - 4 * (1 - Math.cos(Math.PI / 8))) < 1e-12, `${got[9]}`);
});

Deno.test("learningRateAt(cosine) gives transformers' rates for 2 warmup steps of 10", () => {
  const want = [0, 0.0005, 0.001, 0.0009619397662556434, 0.0008535533905932737];
  assert.deepEqual(rates("cosine", { baseLearningRate: 1e-3 }, 5), want);
});

Deno.test("warmupStepCount() rounds a share of the steps up and takes 1 or more as steps", () => {
  const count = (warmupSteps: number, totalSteps = 50) =>
    warmupStepCount({ type: "linear", baseLearningRate: 1, warmupSteps, totalSteps });
  assert.deepEqual([0, 0.03, 0.5, 1, 7].map((warmup) => count(warmup)), [0, 2, 25, 1, 7]);
  assert.equal(count(0.1, 1), 1);
});

Deno.test("learningRateAt() without warmup starts at the base, even in a run of one step", () => {
  for (const type of ["linear", "cosine", "constant", "constant_with_warmup"] as const) {
    assert.deepEqual(rates(type, { warmupSteps: 0, totalSteps: 1 }, 1), [8]);
  }
});

Deno.test("learningRateAt() never exceeds the base nor goes below 0 where all steps are warmup", () => {
  for (const type of ["linear", "cosine"] as const) {
    assert.deepEqual(rates(type, { warmupSteps: 10, totalSteps: 10 }, 11).at(-1), type === "linear" ? 0 : 8);
    assert.ok(rates(type, { warmupSteps: 10 }).every((rate) => rate >= 0 && rate < 8));
  }
});

const goldenUrl = new URL("../../../shared/golden/llama/golden.json", import.meta.url);
let golden: { lora: { cos: { lr: number[] } } } | undefined;
try {
  golden = JSON.parse(Deno.readTextFileSync(goldenUrl));
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

Deno.test({
  name: "learningRateAt(cosine) equals the golden run's rates (needs shared data)",
  ignore: !golden,
  fn: () => assert.deepEqual(rates("cosine", { baseLearningRate: 1e-3 }, 5), golden!.lora.cos.lr),
});
