import assert from "node:assert/strict";
import { decomposedFactors, isDecomposed } from "../../src/optim/decomposed_init.ts";
import { type DrawnInit, initialLoraA, initialLoraB, initialWeight } from "../../src/optim/init.ts";
import golden from "../golden/lora_init.json" with { type: "json" };
import { ramp } from "../helpers/fill.ts";

const PATH = "base_model.model.model.layers.0.self_attn.q_proj";
const NAME = `${PATH}.lora_A.weight`, B_NAME = `${PATH}.lora_B.weight`;
const draw = (init: DrawnInit, name = NAME, seed = 42) => ({ init, name, seed });

Deno.test("initialLoraA() and initialLoraB() depend on start, seed and name only", () => {
  const inits = [true, false, "gaussian", "orthogonal"] as const;
  for (const init of inits) {
    const values = initialLoraA(draw(init), 8, 576);
    assert.deepEqual(initialLoraA(draw(init), 8, 576), values);
    assert.notDeepEqual(initialLoraA(draw(init, NAME, 43), 8, 576), values);
    assert.notDeepEqual(initialLoraA(draw(init, NAME.replace("0", "1")), 8, 576), values);
    assert.deepEqual(initialLoraB(draw(init, B_NAME), 5, 8), initialLoraB(draw(init, B_NAME), 5, 8));
  }
});

/** Mean and mean square of n draws, held against those of a distribution of this variance and kurtosis. */
function assertMoments(values: Float32Array, variance: number, kurtosis: number): void {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const square = values.reduce((sum, value) => sum + value * value, 0) / n;
  assert.ok(Math.abs(mean) < 7 * Math.sqrt(variance / n), `mean ${mean}`);
  const deviation = variance * Math.sqrt((kurtosis - 1) / n);
  assert.ok(Math.abs(square - variance) < 7 * deviation, `square ${square}, wanted ${variance}`);
}

Deno.test("initialLoraA() is uniform within 1/sqrt(in), and for gaussian normal with deviation 1/rank", () => {
  for (const init of [true, false]) {
    const bound = 1 / Math.sqrt(1536), values = initialLoraA(draw(init), 16, 1536);
    assert.equal(values.length, 16 * 1536);
    assert.ok(values.every((value) => Math.abs(value) <= Math.fround(bound)));
    assertMoments(values, bound ** 2 / 3, 1.8);
  }
  assertMoments(initialLoraA(draw("gaussian"), 16, 1536), 1 / 256, 3);
});

Deno.test("initialLoraB() is zero, and for false uniform within 1/sqrt(rank)", () => {
  assert.deepEqual(initialLoraB(draw(true, B_NAME), 3, 2), new Float32Array(6));
  assert.deepEqual(initialLoraB(draw("gaussian", B_NAME), 3, 2), new Float32Array(6));
  const values = initialLoraB(draw(false, B_NAME), 1536, 9);
  assert.ok(values.every((value) => Math.abs(value) <= Math.fround(1 / 3)));
  assertMoments(values, 1 / 27, 1.8);
});

/** B·A [out, in] in f64. */
function product(b: ArrayLike<number>, a: ArrayLike<number>, rank: number): Float64Array {
  const cols = a.length / rank, rows = b.length / rank;
  return Float64Array.from({ length: rows * cols }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[Math.floor(at / cols) * rank + k]! * a[k * cols + at % cols]!;
    return sum;
  });
}

Deno.test("orthogonal factors are large and their product is nothing", () => {
  const rank = 6,
    a = initialLoraA(draw("orthogonal"), rank, 97),
    b = initialLoraB(draw("orthogonal", B_NAME), 41, rank);
  // each value is a row of rank/2 normals times one of unit length, over 10, in the mean: 1/2 of a square of 1/100
  const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
  assert.ok(
    Math.abs(mean(a) - 0.005) < 0.0015 && Math.abs(mean(b) - 0.005) < 0.002,
    `${mean(a)}, ${mean(b)}`,
  );
  assert.ok(product(b, a, rank).every((value) => Math.abs(value) < 1e-7));
});

const { rows, cols, scaling } = golden;
const weight = (wide: boolean) => {
  const values = Float64Array.from(golden.weight);
  if (wide) return { rows, cols, values };
  const turned = values.map((_, i) => values[(i % rows) * cols + Math.floor(i / rows)]!);
  return { rows: cols, cols: rows, values: turned };
};

for (const { init, wide, rank, loraA, loraB } of golden.cases) {
  Deno.test(`${init} of rank ${rank} takes PEFT's part of a ${wide ? "wide" : "tall"} weight`, () => {
    assert.ok(isDecomposed(init));
    const got = decomposedFactors(init, weight(wide), { rank, scaling, name: PATH, seed: 3 });
    assert.deepEqual([got.loraA.length, got.loraB.length], [loraA.length, loraB.length]);
    const want = product(loraB, loraA, rank), has = product(got.loraB, got.loraA, rank);
    const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // both sides hold their factors in f32; iterating from other random vectors leaves some of smaller values in
    const tolerance = (/niter/.test(init) ? 1e-3 : 4e-6) * largest;
    has.forEach((value, i) =>
      assert.ok(Math.abs(value - want[i]!) <= tolerance, `${i}: ${value}, wanted ${want[i]}`)
    );
    // the last columns of all are what rounding left of this weight, in PEFT's f32 above all
    if (init !== "olora" || rank === rows) return;
    got.loraB.forEach((value, i) => assert.ok(Math.abs(value - loraB[i]!) <= 1e-5, `B ${i}: ${value}`));
  });
}

Deno.test("decomposedFactors() gives the same bits again, and a weight of lower rank whole", () => {
  const values = Float64Array.from(product(ramp(20), ramp(14, { phase: 1 }), 2));
  const options = { rank: 5, scaling: 2, name: PATH, seed: 1 };
  for (const init of ["pissa", "pissa_niter_2", "olora"] as const) {
    const got = decomposedFactors(init, { rows: 10, cols: 7, values }, options);
    assert.deepEqual(decomposedFactors(init, { rows: 10, cols: 7, values }, options), got);
    const part = product(got.loraB, got.loraA, 5), strength = init === "olora" ? 1 : 2;
    part.forEach((value, i) => assert.ok(Math.abs(strength * value - values[i]!) < 1e-6, `${init} ${i}`));
  }
  const nothing = decomposedFactors("pissa", { rows: 3, cols: 4, values: new Float64Array(12) }, {
    ...options,
    rank: 2,
  });
  assert.ok([...nothing.loraA, ...nothing.loraB].every((value) => value === 0));
});

Deno.test("initialWeight() gives ones for a norm, and for a matrix a normal distribution by seed and name", () => {
  assert.deepEqual([...initialWeight("model.norm.weight", [3], 0.02, 1)], [1, 1, 1]);
  const n = 40_000, std = 0.02;
  const values = initialWeight("a", [200, 200], std, 1);
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  const variance = values.reduce((sum, x) => sum + x * x, 0) / n;
  const tail = values.filter((x) => Math.abs(x) > 2 * std).length / n;
  // seven standard deviations of each statistic
  assert.ok(Math.abs(mean) < 7 * std / Math.sqrt(n), `mean ${mean}`);
  assert.ok(Math.abs(variance / std ** 2 - 1) < 7 * Math.sqrt(2 / n), `variance ${variance}`);
  assert.ok(Math.abs(tail - 0.0455) < 7 * Math.sqrt(0.0455 / n), `share beyond two sigma ${tail}`);
  assert.deepEqual(initialWeight("a", [200, 200], std, 1), values);
  assert.notDeepEqual(initialWeight("b", [200, 200], std, 1), values);
  assert.notDeepEqual(initialWeight("a", [200, 200], std, 2), values);
});
