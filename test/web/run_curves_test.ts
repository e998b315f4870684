import assert from "node:assert/strict";
import {
  axisPlace,
  bestEvaluation,
  placeInWords,
  runCurves,
  type StepPoint,
  trainingSeconds,
  xRange,
} from "../../web/run_curves.ts";

const point = (step: number, loss: number, tokens: number, tokensPerSecond = 10): StepPoint => {
  return { step, loss, tokens, tokensPerSecond, learningRate: step / 10, gradNorm: 2 };
};

const COURSE = {
  steps: [point(1, 4, 100), point(2, 3, 200), point(3, 2, 250, 50), point(4, 1, 300, 50)],
  evaluations: [{ step: 0, loss: 5 }, { step: 2, loss: 2.5 }, { step: 4, loss: 2.5 }],
};

Deno.test("runCurves() puts steps and evaluations into columns of one length", () => {
  const curves = runCurves(COURSE, { x: "steps", past: 0, last: null });
  assert.deepEqual(curves.x, [0, 1, 2, 3, 4]);
  assert.deepEqual(curves.loss, [null, 4, 3, 2, 1]);
  assert.deepEqual(curves.smooth, curves.loss);
  assert.deepEqual(curves.evaluation, [5, null, 2.5, null, 2.5]);
  assert.deepEqual(curves.best, [null, null, 2.5, null, null]);
  assert.deepEqual(curves.learningRate, [null, 0.1, 0.2, 0.3, 0.4]);
  assert.deepEqual(xRange(curves, { x: "steps", past: 0, last: null }, 9), [0, 9]);
});

Deno.test("runCurves() over tokens and time puts an evaluation where the step before it ended", () => {
  const course = { ...COURSE, evaluations: [{ step: 0, loss: 5 }, { step: 6, loss: 1 }] };
  const [tokens, time] = [
    runCurves(course, { x: "tokens", past: 0.5, last: null }),
    runCurves(course, { x: "time", past: 0.5, last: null }),
  ];
  assert.deepEqual(tokens.x, [0, 100, 200, 250, 300, 300]);
  assert.deepEqual(time.x, [0, 10, 20, 21, 22, 22]);
  assert.deepEqual(trainingSeconds(course.steps), [10, 20, 21, 22]);
  assert.deepEqual(xRange(time, { x: "time", past: 0, last: null }, 9), [0, 22]);
  assert.deepEqual(runCurves({ steps: [], evaluations: [] }, { x: "time", past: 0, last: null }).x, []);
});

Deno.test("runCurves() of the last steps smooths with all of them", () => {
  const [all, part] = [null, 2].map((last) => runCurves(COURSE, { x: "steps", past: 0.8, last }));
  assert.deepEqual(part!.steps, [2, 3, 4]);
  assert.deepEqual(part!.smooth, all!.smooth.slice(-3));
  assert.deepEqual(xRange(part!, { x: "steps", past: 0.8, last: 2 }, 9), [2, 4]);
});

Deno.test("bestEvaluation() is the earliest of the lowest, and places are told with their units", () => {
  assert.deepEqual(bestEvaluation(COURSE.evaluations), { step: 2, loss: 2.5 });
  assert.equal(bestEvaluation([]), null);
  assert.deepEqual([axisPlace("tokens", 1_234_567), axisPlace("time", 125)], ["1.23M", "02:05"]);
  assert.deepEqual(
    [placeInWords("steps", 7), placeInWords("tokens", 1204), placeInWords("time", 125)],
    ["step 7", "1,204 tokens", "02:05 of training"],
  );
});
