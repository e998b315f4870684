import assert from "node:assert/strict";
import { distributionOf, GREEDY, nextToken, samplingIssues } from "../../src/generate/sampling.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";

/** Logits whose softmax is 0.4, 0.3, 0.2, 0.1, at ids 3, 0, 4, 1; id 2 is impossible next to them. */
const LOGITS = Float32Array.from([0.3, 0.1, 1e-30, 0.4, 0.2], Math.log);
const ALL = { temperature: 1, topK: 0, topP: 1 };

function expect(options: Partial<typeof ALL>, ids: number[], probabilities: number[]) {
  const got = distributionOf(LOGITS, { ...ALL, ...options });
  assert.deepEqual([...got.ids], ids);
  assertClose([...got.probabilities], probabilities, arithmetic("f32", "f32", 5));
}

Deno.test("distributionOf() scales by temperature", () => {
  expect({}, [0, 1, 2, 3, 4], [0.3, 0.1, 0, 0.4, 0.2]);
  // p^2 / sum p^2
  expect({ temperature: 0.5 }, [0, 1, 2, 3, 4], [9 / 30, 1 / 30, 0, 16 / 30, 4 / 30]);
});

Deno.test("distributionOf() keeps the top_k most probable, then the fewest that reach top_p", () => {
  expect({ topK: 2 }, [3, 0], [4 / 7, 3 / 7]);
  expect({ topK: 9 }, [3, 0, 4, 1], [0.4, 0.3, 0.2, 0.1]);
  expect({ topP: 0.4001 }, [3, 0], [4 / 7, 3 / 7]);
  expect({ topP: 0.69 }, [3, 0], [4 / 7, 3 / 7]);
  expect({ topP: 0.71 }, [3, 0, 4], [4 / 9, 3 / 9, 2 / 9]);
  expect({ topP: 1e-9 }, [3], [1]);
  // of the two that top_k leaves, the first is 4/7 of the whole
  expect({ topK: 2, topP: 0.5 }, [3], [1]);
  expect({ topK: 2, topP: 0.6 }, [3, 0], [4 / 7, 3 / 7]);
  // temperature comes before top_p: 16/30 reach 0.53
  expect({ temperature: 0.5, topP: 0.53 }, [3], [1]);
});

Deno.test("distributionOf() finds the same nucleus in a large vocabulary as sorting all of it", () => {
  const logits = Float32Array.from({ length: 5003 }, (_, i) => 4 * Math.sin(0.7 * i + 0.0013 * i * i));
  const weights = Array.from(logits, (logit, id) => ({ id, weight: Math.exp(logit) }));
  weights.sort((a, b) => b.weight - a.weight || a.id - b.id);
  const total = weights.reduce((sum, { weight }) => sum + weight, 0);
  for (const topP of [0.1, 0.9, 0.999]) {
    let mass = 0;
    const want: number[] = [];
    for (const { id, weight } of weights) {
      if (mass >= topP * total) break;
      want.push(id);
      mass += weight;
    }
    assert.deepEqual([...distributionOf(logits, { ...ALL, topP }).ids], want);
  }
});

Deno.test("distributionOf() keeps the first of equals, as many as top_k says", () => {
  const { ids, probabilities } = distributionOf(new Float32Array(9), { ...ALL, topK: 3 });
  assert.deepEqual([[...ids], [...probabilities]], [[0, 1, 2], [1 / 3, 1 / 3, 1 / 3]]);
});

Deno.test("nextToken() draws as often as the probabilities say, by row and by step", () => {
  for (const address of ["row", "step"] as const) {
    const counts = new Map<number, number>();
    const draws = 4000;
    for (let i = 0; i < draws; i++) {
      const at = { row: 1, step: 1, [address]: i };
      const id = nextToken(LOGITS, new Set(), { ...GREEDY, temperature: 1, seed: 5 }, at);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const [id, p] of [[3, 0.4], [0, 0.3], [4, 0.2], [1, 0.1]] as const) {
      const sigma = Math.sqrt(p * (1 - p) / draws);
      assert.ok(Math.abs(counts.get(id)! / draws - p) < 5 * sigma, `${address}: ${id} ${counts.get(id)}`);
    }
    assert.equal(counts.size, 4);
  }
});

Deno.test("nextToken() is greedy at temperature 0, takes the first of equals, and penalises what was seen", () => {
  const at = { row: 0, step: 0 };
  assert.equal(nextToken(Float32Array.of(1, 3, 3, 2), new Set(), GREEDY, at), 1);
  const penalised = { ...GREEDY, repetitionPenalty: 2 };
  assert.equal(nextToken(Float32Array.of(2, 3, -1), new Set([1]), penalised, at), 0);
  // negative logits are multiplied: -1 becomes -2
  const logits = Float32Array.of(-1, -1.5, 3);
  assert.equal(nextToken(logits, new Set([0, 2]), { ...penalised, repetitionPenalty: 4 }, at), 2);
  assert.deepEqual([...logits], [-4, -1.5, 0.75]);
});

Deno.test("nextToken() refuses logits that are not finite", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    assert.throws(
      () => nextToken(Float32Array.of(1, bad, 2), new Set(), GREEDY, { row: 0, step: 0 }),
      /^DivergedError: The model gives a logit that is not a finite number: its weights/,
    );
  }
});

Deno.test("samplingIssues() names every option that is out of its range, with its value", () => {
  assert.deepEqual(
    samplingIssues({ ...GREEDY, temperature: 0.7, topK: 40, topP: 0.9, seed: 2 ** 32 - 1 }),
    [],
  );
  const wrong = { temperature: -1, topK: 1.5, topP: 1.1, repetitionPenalty: 0, seed: NaN };
  assert.deepEqual(samplingIssues(wrong).map(({ path, message }) => `${path} ${message}`), [
    "temperature must be 0 or more: current value is -1",
    "top_k must be a whole number of 0 or more: current value is 1.5",
    "top_p must be above 0 and at most 1: current value is 1.1",
    "repetition_penalty must be above 0: current value is 0",
    "seed must be a whole number in 0..4294967295: current value is NaN",
  ]);
});
