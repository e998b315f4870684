import assert from "node:assert/strict";
import { dequantizeInt8, quantizeInt8 } from "../../src/quant/int8.ts";

Deno.test("quantizeInt8() scales each row by its own largest magnitude and rounds halves to even", () => {
  const rows = Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5, -127, -126.5, 0, 0, 0, 0);
  const { codes, absmax } = quantizeInt8(rows, 4);
  assert.deepEqual([...codes], [127, 0, 2, 2, 0, -2, -127, -126, 0, 0, 0, 0]);
  assert.deepEqual([...absmax], [127, 127, 0]);
  assert.deepEqual([...dequantizeInt8(codes, absmax, 4)], [...codes].map((code) => code + 0));
});

Deno.test("quantizeInt8() names the row and column of what is not a number", () => {
  assert.throws(() => quantizeInt8(Float32Array.of(1, 2, 3, NaN), 2), {
    name: "RangeError",
    message: "Cannot quantise row 1, column 1 as it is NaN: the weights are damaged or overflow",
  });
});
