import assert from "node:assert/strict";
import {
  angleBounds,
  boundedTables,
  firstAngle,
  inverseFrequencies,
  type Rope,
  ropeTables,
} from "../../src/models/rope.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";

/** Llama 3.2: head width 64. */
const LLAMA32: Rope = {
  rotaryDim: 64,
  theta: 500_000,
  scaling: {
    type: "llama3",
    factor: 32,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  },
};

Deno.test("inverseFrequencies() falls from 1 by powers of theta", () => {
  const frequencies = inverseFrequencies({ rotaryDim: 8, theta: 10_000, scaling: { type: "default" } }, 1);
  assert.equal(frequencies.length, 4);
  assertClose(frequencies, [1, 0.1, 0.01, 0.001], arithmetic("f32", "f32", 1));
});

/** [pair, inverse frequency, cos and sin of its angle at position 131071], from 60-digit arithmetic. */
const EXACT: readonly [number, number, number, number][] = [
  [0, 1, -0.8179834993879491, -0.5752416837547893],
  [1, 0.6636012376960885, 0.7360236311546725, 0.6769558437460235],
  [7, 0.05666962144529105, 0.5242864594308659, 0.8515419593052634],
  [13, 0.004839421345719893, 0.9571153456487439, -0.2897071195598848],
  [14, 0.003211445994752591, 0.9989432162041431, -0.04596140554555305],
  [15, 0.0012905479282092638, 0.8811082387582415, -0.47291465571744523],
  [16, 0.0004295567965593682, 0.969838519228385, -0.24374832639608704],
  [17, 9.708287802627673e-05, 0.9874841950736905, 0.15771799034880493],
  [18, 1.9461638184831125e-05, -0.8305308211615594, 0.556972672958763],
  [31, 9.41830672543491e-08, 0.999923805543628, 0.012344355274725828],
];

Deno.test("inverseFrequencies() keeps fast, blends middle and divides slow frequencies of Llama 3", () => {
  const frequencies = inverseFrequencies(LLAMA32, 131_072);
  for (const [i, want] of EXACT) {
    assert.ok(Math.abs(frequencies[i]! / want - 1) < 4e-16, `pair ${i}: ${frequencies[i]}`);
  }
});

Deno.test("ropeTables() is right to one f32 step at position 131,071", () => {
  const { cos, sin } = ropeTables(LLAMA32, 131_072);
  assert.equal(cos.length, 131_072 * 32);
  for (const [i, , wantCos, wantSin] of EXACT) {
    for (const [table, want] of [[cos, wantCos], [sin, wantSin]] as const) {
      const got = table[131_071 * 32 + i]!;
      assert.ok(Math.abs(got - want) <= Math.abs(want) * 2 ** -23, `pair ${i}: got ${got}, want ${want}`);
    }
  }
});

Deno.test("ropeTables() turns nothing at position 0 and pair i by i's frequency at position 1", () => {
  const { cos, sin } = ropeTables({ rotaryDim: 4, theta: 100, scaling: { type: "default" } }, 2);
  assertClose(cos, [1, 1, Math.cos(1), Math.cos(0.1)], arithmetic("f32", "f32", 1));
  assertClose(sin, [0, 0, Math.sin(1), Math.sin(0.1)], arithmetic("f32", "f32", 1));
});

Deno.test("inverseFrequencies() divides all by a linear factor", () => {
  const rope = { rotaryDim: 4, theta: 100, scaling: { type: "linear", factor: 8 } } as const;
  assertClose(inverseFrequencies(rope, 1), [1 / 8, 0.1 / 8], arithmetic("f32", "f32", 1));
});

/** Phi-3's: factors for each pair, long ones for rows beyond the first context. */
const LONGROPE: Rope = {
  rotaryDim: 4,
  theta: 100,
  scaling: {
    type: "longrope",
    shortFactors: [1, 2],
    longFactors: [4, 8],
    originalMaxPositionEmbeddings: 16,
    attentionFactor: 1.5,
  },
};

Deno.test("inverseFrequencies() takes longrope's long factors where a row is longer than the first context", () => {
  assertClose(inverseFrequencies(LONGROPE, 16), [1, 0.05], arithmetic("f32", "f32", 1));
  assertClose(inverseFrequencies(LONGROPE, 17), [0.25, 0.0125], arithmetic("f32", "f32", 1));
});

Deno.test("ropeTables() scales cos and sin by longrope's attention factor, position 0 too", () => {
  const { cos, sin } = ropeTables(LONGROPE, 17);
  assert.deepEqual([...cos.slice(0, 2), ...sin.slice(0, 2)], [1.5, 1.5, 0, 0]);
  const [a, b] = [0.25 * 16, 0.0125 * 16];
  assertClose(cos.slice(-2), [1.5 * Math.cos(a), 1.5 * Math.cos(b)], arithmetic("f32", "f32", 1));
  assertClose(sin.slice(-2), [1.5 * Math.sin(a), 1.5 * Math.sin(b)], arithmetic("f32", "f32", 1));
});

/** Qwen 2.5's, stretched fourfold, of a head 16 wide. */
const YARN = {
  type: "yarn",
  factor: 4,
  betaFast: 32,
  betaSlow: 1,
  truncate: true,
  originalMaxPositionEmbeddings: 1024,
  attentionFactor: 0.1 * Math.log(4) + 1,
} as const;

Deno.test("inverseFrequencies() keeps yarn's fast pairs, slows its slow ones and blends between", () => {
  // pair of n turns: 8·ln(1024 / 2πn) / ln 10,000, which is 1.41 for 32 turns and 4.43 for one
  const frequencies = inverseFrequencies({ rotaryDim: 16, theta: 10_000, scaling: YARN }, 1);
  const ramp = [0, 0, 1 / 4, 2 / 4, 3 / 4, 1, 1, 1];
  const wanted = ramp.map((r, i) => 10_000 ** (-i / 8) * (1 - r + r / 4));
  for (const [i, want] of wanted.entries()) {
    assert.ok(Math.abs(frequencies[i]! / want - 1) < 4e-16, `pair ${i}`);
  }
  const exactly = inverseFrequencies(
    { rotaryDim: 16, theta: 10_000, scaling: { ...YARN, truncate: false } },
    1,
  );
  const pair = (turns: number) => 8 * Math.log(1024 / (2 * Math.PI * turns)) / Math.log(10_000);
  const r = (2 - pair(32)) / (pair(1) - pair(32));
  assert.ok(Math.abs(exactly[2]! / (0.1 * (1 - r + r / 4)) - 1) < 1e-15);
});

Deno.test("ropeTables() scales cos and sin by yarn's attention factor", () => {
  const { cos, sin } = ropeTables({ rotaryDim: 16, theta: 10_000, scaling: YARN }, 2);
  assertClose(cos.slice(0, 8), Array(8).fill(YARN.attentionFactor), arithmetic("f32", "f32", 1));
  assertClose([sin[8]!], [YARN.attentionFactor * Math.sin(1)], arithmetic("f32", "f32", 1));
});

Deno.test("boundedTables() hold short and long angles, each where rows of that length find them", () => {
  const plain: Rope = { rotaryDim: 4, theta: 100, scaling: { type: "default" } };
  const bounds = angleBounds([plain, LONGROPE, LONGROPE], 24);
  assert.deepEqual(bounds, [16, 24]);
  assert.deepEqual([1, 16, 17, 24].map((longest) => firstAngle(bounds, longest)), [0, 0, 16, 16]);
  const { cos, sin } = boundedTables(LONGROPE, bounds);
  const short = ropeTables(LONGROPE, 16), long = ropeTables(LONGROPE, 24);
  assert.deepEqual([...cos], [...short.cos, ...long.cos]);
  assert.deepEqual([...sin], [...short.sin, ...long.sin]);
  assert.deepEqual(angleBounds([plain, LONGROPE], 16), [16]);
  assert.deepEqual(angleBounds([plain], 24), [24]);
});
