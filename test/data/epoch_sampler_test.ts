import assert from "node:assert/strict";
import { EpochSampler } from "../../src/data/epoch_sampler.ts";

Deno.test("EpochSampler shows every example once an epoch, in steps of whole groups and a short last one", () => {
  const sampler = new EpochSampler({ examples: 23, batchSize: 2, gradientAccumulationSteps: 5, seed: 42 });
  // 12 micro-batches: 5 + 5 + 2.
  assert.equal(sampler.stepsPerEpoch, 3);
  for (const epoch of [0, 1]) {
    const steps = [0, 1, 2].map((step) => sampler.microBatches(epoch * 3 + step));
    assert.deepEqual(steps.map((micro) => micro.map((batch) => batch.length)), [
      [2, 2, 2, 2, 2],
      [2, 2, 2, 2, 2],
      [2, 1],
    ]);
    assert.deepEqual(steps.flat(2).sort((a, b) => a - b), Array.from({ length: 23 }, (_, i) => i));
  }
});

Deno.test("EpochSampler gives each epoch and each seed its own order, whatever step is asked first", () => {
  const make = (seed: number) => new EpochSampler({ examples: 50, batchSize: 50, seed });
  const forward = make(42);
  const orders = [0, 1, 2].map((step) => forward.microBatches(step)[0]!.join());
  const backward = make(42);
  assert.deepEqual([2, 1, 0].map((step) => backward.microBatches(step)[0]!.join()).reverse(), orders);
  orders.push(make(43).microBatches(0)[0]!.join());
  assert.equal(new Set(orders).size, 4);
});

Deno.test("EpochSampler keeps the file's order where shuffling is off", () => {
  const sampler = new EpochSampler({ examples: 3, batchSize: 2, seed: 1, shuffle: false });
  assert.deepEqual([0, 1, 2].map((step) => sampler.microBatches(step)), [[[0, 1]], [[2]], [[0, 1]]]);
});

Deno.test("totalSteps() counts fractional epochs up, and maxSteps overrules them", () => {
  const sampler = new EpochSampler({ examples: 10, batchSize: 2, gradientAccumulationSteps: 2, seed: 1 });
  assert.equal(sampler.stepsPerEpoch, 3);
  assert.deepEqual([1, 3, 0.5, 1.1].map((epochs) => sampler.totalSteps(epochs)), [3, 9, 2, 4]);
  assert.equal(sampler.totalSteps(3, 5), 5);
  assert.equal(sampler.totalSteps(3, -1), 9);
});

Deno.test("EpochSampler refuses numbers that group nothing", () => {
  const good = { examples: 1, batchSize: 1, seed: 1 };
  for (const bad of [{ examples: 0 }, { batchSize: 1.5 }, { gradientAccumulationSteps: 0 }]) {
    assert.throws(() => new EpochSampler({ ...good, ...bad }), {
      name: "RangeError",
      message: new RegExp(`${Object.keys(bad)[0]} ${Object.values(bad)[0]}: it must be a positive integer`),
    });
  }
});
