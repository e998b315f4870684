import assert from "node:assert/strict";
import { initialLoraA, initialLoraB, initialWeight } from "../../src/optim/init.ts";

const NAME = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

Deno.test("initialLoraA() depends on seed and name only", () => {
  const values = initialLoraA(NAME, 8, 576, 42);
  assert.deepEqual(initialLoraA(NAME, 8, 576, 42), values);
  assert.notDeepEqual(initialLoraA(NAME, 8, 576, 43), values);
  assert.notDeepEqual(initialLoraA(NAME.replace("0", "1"), 8, 576, 42), values);
});

Deno.test("initialLoraA() fills (-1/sqrt(in), 1/sqrt(in)) evenly", () => {
  const count = 16 * 1536, bound = 1 / Math.sqrt(1536);
  const values = initialLoraA(NAME, 16, 1536, 1);
  assert.equal(values.length, count);
  assert.ok(values.every((value) => Math.abs(value) <= Math.fround(bound)));
  // Of a uniform variable on (-b, b) the mean has deviation b/sqrt(3n), the mean square (b²/3) has b²·sqrt(4/45/n).
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const square = values.reduce((sum, value) => sum + value * value, 0) / count;
  assert.ok(Math.abs(mean) < 7 * bound / Math.sqrt(3 * count), `mean ${mean}`);
  assert.ok(
    Math.abs(square - bound ** 2 / 3) < 7 * bound ** 2 * Math.sqrt(4 / 45 / count),
    `square ${square}`,
  );
});

Deno.test("initialLoraB() is zero of shape [out, rank]", () => {
  assert.deepEqual(initialLoraB(3, 2), new Float32Array(6));
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
