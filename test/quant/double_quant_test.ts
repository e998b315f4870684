import assert from "node:assert/strict";
import { dequantizeScales, DYNAMIC_LEVELS, quantizeScales } from "../../src/quant/double_quant.ts";
import { fillUniform, streamOf } from "../../src/random.ts";

Deno.test("DYNAMIC_LEVELS are ascending, symmetric but for 1, and denser towards zero", () => {
  assert.equal(DYNAMIC_LEVELS.length, 256);
  assert.equal(DYNAMIC_LEVELS[127], 0);
  assert.equal(DYNAMIC_LEVELS[255], 1);
  for (let i = 1; i < 256; i++) assert.ok(DYNAMIC_LEVELS[i]! > DYNAMIC_LEVELS[i - 1]!, `level ${i}`);
  for (let i = 0; i < 127; i++) assert.equal(DYNAMIC_LEVELS[i], -DYNAMIC_LEVELS[254 - i]!);
  assert.ok(Math.abs(DYNAMIC_LEVELS[128]! - 0.55e-6) < 1e-12);
});

Deno.test("quantizeScales() keeps each scale to half a step of its block", () => {
  const absmax = new Float32Array(3 * 256 + 17);
  fillUniform(absmax, 0.5, 3, { seed: 2, stream: streamOf("scales") });
  const nested = quantizeScales(absmax);
  assert.deepEqual([nested.codes.length, nested.nestedAbsmax.length], [785, 4]);
  const mean = absmax.reduce((sum, value) => sum + value, 0) / absmax.length;
  assert.ok(Math.abs(nested.offset - mean) < 1e-6, `offset ${nested.offset}, mean ${mean}`);
  const back = dequantizeScales(nested);
  for (const [i, value] of absmax.entries()) {
    const step = 0.9 / 64, scale = nested.nestedAbsmax[i >> 8]!; // cells of the largest decade
    assert.ok(Math.abs(back[i]! - value) <= (step / 2 + 2e-5) * scale, `scale ${i}: ${back[i]} for ${value}`);
  }
});

Deno.test("quantizeScales() gives scales that are all the same back", () => {
  for (const absmax of [new Float32Array(300).fill(0.75), Float32Array.of(2), new Float32Array(0)]) {
    assert.deepEqual(dequantizeScales(quantizeScales(absmax)), absmax);
  }
});
