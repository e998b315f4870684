import assert from "node:assert/strict";
import { fillUniform, permutation, STREAM, streamOf, threefry2x32, uniform } from "../src/random.ts";

Deno.test("threefry2x32() gives the published known answers", () => {
  const answers: [number[], number[]][] = [
    [[0, 0, 0, 0], [0x6b200159, 0x99ba4efe]],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0x1cb996fc, 0xbb002be7]],
    [[0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3], [0xc4923a9c, 0x483df7a0]],
  ];
  for (const [[key0, key1, counter0, counter1], want] of answers) {
    assert.deepEqual(threefry2x32(key0!, key1!, counter0!, counter1!), want);
  }
});

Deno.test("uniform() is exact in f32, stays in [0, 1) and has the moments of a uniform", () => {
  const n = 20_011;
  let sum = 0, squares = 0;
  for (let i = 0; i < n; i++) {
    const x = uniform(42, STREAM.shuffle, i);
    assert.ok(x >= 0 && x < 1);
    assert.equal(Math.fround(x), x);
    sum += x;
    squares += x * x;
  }
  // Seven standard errors of the mean of x and of x².
  assert.ok(Math.abs(sum / n - 1 / 2) < 7 * Math.sqrt(1 / 12 / n));
  assert.ok(Math.abs(squares / n - 1 / 3) < 7 * Math.sqrt(4 / 45 / n));
});

Deno.test("fillUniform() equals uniform() at every index, for odd lengths too, and separates its sources", () => {
  const out = new Float32Array(7);
  fillUniform(out, -0.5, 0.25, { seed: 7, stream: 9 });
  assert.deepEqual(
    [...out],
    Array.from({ length: 7 }, (_, i) => Math.fround(-0.5 + 0.75 * uniform(7, 9, i))),
  );
  const drawn = new Set<number>();
  for (const source of [{ seed: 7, stream: 9 }, { seed: 8, stream: 9 }, { seed: 7, stream: 10 }]) {
    for (const sequence of [0, 1]) {
      const one = new Float32Array(1);
      fillUniform(one, 0, 1, { ...source, sequence });
      drawn.add(one[0]!);
    }
  }
  assert.equal(drawn.size, 6);
});

Deno.test("permutation() contains every number once and changes with seed, stream and sequence", () => {
  for (const n of [0, 1, 2, 257]) {
    const order = permutation(n, { seed: 42, stream: STREAM.shuffle });
    assert.deepEqual([...order].sort((a, b) => a - b), Array.from({ length: n }, (_, i) => i));
  }
  const orders = [
    { seed: 42, stream: STREAM.shuffle },
    { seed: 43, stream: STREAM.shuffle },
    { seed: 42, stream: STREAM.split },
    { seed: 42, stream: STREAM.shuffle, sequence: 1 },
  ].map((source) => permutation(31, source).join());
  assert.equal(new Set(orders).size, 4);
  assert.equal(permutation(31, { seed: 42, stream: STREAM.shuffle, sequence: 0 }).join(), orders[0]);
  assert.throws(() => permutation(-1, { seed: 1, stream: 1 }), {
    name: "RangeError",
    message: /Cannot permute -1 things/,
  });
  assert.throws(() => permutation(1.5, { seed: 1, stream: 1 }), RangeError);
});

Deno.test("permutation() makes each of the 24 orders of 4 equally often", () => {
  const counts = new Map<string, number>();
  const draws = 4800;
  for (let sequence = 0; sequence < draws; sequence++) {
    const order = permutation(4, { seed: 1, stream: STREAM.shuffle, sequence }).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  const expected = draws / 24;
  const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 23 degrees of freedom: mean 23, standard deviation 6.8; seven deviations above the mean.
  assert.ok(chiSquare < 23 + 7 * 6.8, `chi-square ${chiSquare}`);
});

Deno.test("streamOf() gives each name its own stream, apart from the fixed ones", () => {
  const names = [
    "model.layers.0.self_attn.q_proj",
    "model.layers.1.self_attn.q_proj",
    "",
    "ä",
    "ä".normalize("NFD"),
  ];
  const streams = names.map(streamOf);
  assert.equal(new Set(streams).size, names.length);
  for (const stream of streams) assert.ok(stream >= 2 ** 31 && stream < 2 ** 32 && Number.isInteger(stream));
});
