import assert from "node:assert/strict";
import {
  decodeFloats,
  encodeFloats,
  narrowBf16,
  narrowF16,
  widenBf16,
  widenF16,
} from "../../src/quant/float16.ts";

/** Value of a 16-bit pattern straight from the definition, as a reference. */
function valueOf(bits: number, exponentBits: number, fractionBits: number): number {
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >>> 15 ? -1 : 1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * (1 + fraction) * 2 ** (exponent - bias) : sign * fraction * 2 ** (1 - bias);
}

const toNumber = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0]!;
const toBits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;

Deno.test("widenF16() and widenBf16() are exact for all 65,536 patterns", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    if (!Object.is(toNumber(widenF16(bits)), valueOf(bits, 5, 10))) assert.fail(`f16 ${bits.toString(16)}`);
    if (!Object.is(toNumber(widenBf16(bits)), valueOf(bits, 8, 7))) assert.fail(`bf16 ${bits.toString(16)}`);
  }
});

Deno.test("narrowing what was widened gives all 65,536 patterns back, NaN payloads included", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    if (narrowF16(widenF16(bits)) !== bits) assert.fail(`f16 ${bits.toString(16)}`);
    if (narrowBf16(widenBf16(bits)) !== bits) assert.fail(`bf16 ${bits.toString(16)}`);
  }
});

Deno.test("narrowing rounds to nearest, ties to even, between all neighbours", () => {
  const formats = [
    { narrow: narrowF16, widen: widenF16, largest: 0x7bff },
    { narrow: narrowBf16, widen: widenBf16, largest: 0x7f7f },
  ];
  for (const { narrow, widen, largest } of formats) {
    for (let low = 0; low < largest; low++) {
      // The midpoint of 16-bit neighbours is itself an f32.
      const middle = (toNumber(widen(low)) + toNumber(widen(low + 1))) / 2;
      const bits = toBits(middle);
      if (toNumber(bits) !== middle) assert.fail(`midpoint above ${low} is not an f32`);
      if (narrow(bits) !== low + (low & 1)) assert.fail(`tie above ${low.toString(16)}`);
      if (narrow(bits - 1) !== low || narrow(bits + 1) !== low + 1) assert.fail(`near ${low.toString(16)}`);
      if (narrow(bits + 0x80000000) !== 0x8000 + low + (low & 1)) assert.fail(`sign of ${low.toString(16)}`);
    }
  }
});

Deno.test("narrowF16() goes to infinity from 65520 on, and to zero at 2^-25", () => {
  assert.equal(narrowF16(toBits(65519.996)), 0x7bff);
  assert.equal(narrowF16(toBits(65520)), 0x7c00);
  assert.equal(narrowF16(toBits(-1e30)), 0xfc00);
  assert.equal(narrowF16(toBits(2 ** -25)), 0);
  assert.equal(narrowF16(toBits(2 ** -25) + 1), 1);
  assert.equal(narrowF16(toBits(-1e-40)), 0x8000);
});

Deno.test("narrowBf16() goes to infinity beyond its largest value", () => {
  assert.equal(narrowBf16(0x7f7f7fff), 0x7f7f);
  assert.equal(narrowBf16(0x7f7f8000), 0x7f80);
});

Deno.test("narrowing a NaN whose payload is cut off stays NaN", () => {
  assert.equal(narrowF16(0x7f800001), 0x7e00);
  assert.equal(narrowBf16(0xff800001), 0xffc0);
});

Deno.test("encodeFloats() and decodeFloats() are little-endian and own their memory", () => {
  const values = Float32Array.of(1.5, -2, 0.1);
  assert.deepEqual([...encodeFloats("F16", values)], [0x00, 0x3e, 0x00, 0xc0, 0x66, 0x2e]);
  assert.deepEqual([...encodeFloats("BF16", values)], [0xc0, 0x3f, 0x00, 0xc0, 0xcd, 0x3d]);
  const bytes = encodeFloats("F32", values);
  values[0] = 9;
  const shifted = new Uint8Array(13);
  shifted.set(bytes, 1);
  assert.deepEqual(decodeFloats("F32", shifted.subarray(1)), Float32Array.of(1.5, -2, 0.1));
  assert.deepEqual(decodeFloats("F16", Uint8Array.of(0x66, 0x2e)), Float32Array.of(0.0999755859375));
});
