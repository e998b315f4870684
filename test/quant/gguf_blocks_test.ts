import assert from "node:assert/strict";
import { DECODABLE_TYPES, decodeBlocks, encodeBlocks } from "../../src/quant/gguf_blocks.ts";
import { GGUF_TYPES, ggufType } from "../../src/quant/gguf_types.ts";
import { ramp } from "../helpers/fill.ts";

const ONE = [0, 0x3c], TWO = [0, 0x40], HALF = [0, 0x38]; // f16, little-endian
const decode = (
  name: string,
  bytes: readonly number[],
) => [...decodeBlocks(ggufType(name), Uint8Array.from(bytes))];
const repeat = (count: number, byte: number) => Array<number>(count).fill(byte);

Deno.test("decodeBlocks() puts the low nibbles first, then the high ones", () => {
  const codes = Array.from({ length: 16 }, (_, i) => i | (15 - i) << 4);
  const low = Array.from({ length: 16 }, (_, i) => i), high = [...low].reverse();
  assert.deepEqual(decode("Q4_0", [...TWO, ...codes]), [...low, ...high].map((q) => 2 * (q - 8)));
  assert.deepEqual(decode("Q4_1", [...TWO, ...HALF, ...codes]), [...low, ...high].map((q) => 2 * q + 0.5));
});

Deno.test("decodeBlocks() takes the fifth bit of value i from bit i", () => {
  const high = [0b0000_0001, 0, 0b0000_0010, 0x80], codes = repeat(16, 0x53); // values 0, 17 and 31
  const wanted = Array.from({ length: 32 }, (_, i) => (i < 16 ? 3 : 5) + ([0, 17, 31].includes(i) ? 16 : 0));
  assert.deepEqual(decode("Q5_0", [...ONE, ...high, ...codes]), wanted.map((q) => q - 16));
  assert.deepEqual(decode("Q5_1", [...ONE, ...TWO, ...high, ...codes]), wanted.map((q) => q + 2));
});

Deno.test("decodeBlocks() reads the signed bytes of Q8_0", () => {
  const codes = Array.from({ length: 32 }, (_, i) => (i * 37) % 256);
  assert.deepEqual(decode("Q8_0", [...HALF, ...codes]), codes.map((byte) => (byte << 24 >> 24) / 2));
});

Deno.test("decodeBlocks() unpacks the 6-bit scales and minima of Q4_K and Q5_K", () => {
  const scales = [1, 2, 3, 63, 4, 60, 33, 7], minima = [0, 5, 31, 63, 8, 34, 1, 50];
  const packed = [
    ...[0, 1, 2, 3].map((i) => scales[i]! | scales[i + 4]! >> 4 << 6),
    ...[0, 1, 2, 3].map((i) => minima[i]! | minima[i + 4]! >> 4 << 6),
    ...[4, 5, 6, 7].map((i) => scales[i]! & 15 | (minima[i]! & 15) << 4),
  ];
  const codes = [0, 1, 2, 3].flatMap((pair) => repeat(32, (2 * pair + 1) | (15 - pair) << 4));
  const code = (b: number) => b % 2 === 0 ? b + 1 : 15 - (b - 1) / 2;
  const wanted = (fifth: number) =>
    scales.flatMap((s, b) => repeat(32, 2 * s * (code(b) + (fifth >> b & 1) * 16) - 0.5 * minima[b]!));
  assert.deepEqual(decode("Q4_K", [...TWO, ...HALF, ...packed, ...codes]), wanted(0));
  const fifth = 0b1010_0110;
  assert.deepEqual(
    decode("Q5_K", [...TWO, ...HALF, ...packed, ...repeat(32, fifth), ...codes]),
    wanted(fifth),
  );
});

Deno.test("decodeBlocks() finds the high bits and scales of Q6_K", () => {
  const low = [...repeat(32, 0x21), ...repeat(32, 0x43), ...repeat(32, 0x65), ...repeat(32, 0x87)];
  const high = [...repeat(32, 0b11_10_01_00), ...repeat(32, 0b00_01_10_11)];
  const scales = Array.from({ length: 16 }, (_, i) => i - 8);
  const codes = [1, 3, 2, 4, 5, 7, 6, 8], highs = [0, 1, 2, 3, 3, 2, 1, 0];
  const wanted = scales.flatMap((s, i) => repeat(16, s * ((codes[i >> 1]! | highs[i >> 1]! << 4) - 32)));
  const got = decode("Q6_K", [...low, ...high, ...scales.map((s) => s & 255), ...ONE]);
  assert.deepEqual(got.map((value) => value + 0), wanted.map((value) => value + 0));
});

Deno.test("decodeBlocks() widens plain floats", () => {
  assert.deepEqual(decode("F32", [0, 0, 0xc0, 0x3f]), [1.5]);
  assert.deepEqual(decode("F16", [...ONE, ...TWO]), [1, 2]);
  assert.deepEqual(decode("BF16", [0x80, 0x3f]), [1]);
});

Deno.test("encodeBlocks() comes back within half a step, and zeros come back as zeros", () => {
  const values = ramp(640, {});
  for (const [name, steps] of [["Q8_0", 127], ["Q4_0", 8]] as const) {
    const back = decodeBlocks(ggufType(name), encodeBlocks(name, values));
    for (let block = 0; block < 20; block++) {
      const inBlock = values.subarray(32 * block, 32 * block + 32);
      const largest = inBlock.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const [i, value] of inBlock.entries()) {
        const error = Math.abs(back[32 * block + i]! - value);
        // codes belong to d before it is rounded to f16 (127·2⁻¹¹ steps); Q4_0 has no code for minus its largest, a step off
        assert.ok(
          error <= largest / steps * (name === "Q4_0" ? 1.01 : 0.57),
          `${name} ${block}.${i}: ${error}`,
        );
      }
    }
    const zeros = decodeBlocks(ggufType(name), encodeBlocks(name, new Float32Array(32)));
    assert.ok(zeros.every((value) => value === 0));
  }
  assert.deepEqual(encodeBlocks("F16", Float32Array.of(1)), Uint8Array.of(0, 0x3c));
});

Deno.test("decodeBlocks() and encodeBlocks() refuse broken blocks and types that they do not know", () => {
  assert.throws(() => decode("Q8_0", repeat(33, 0)), {
    name: "RangeError",
    message: "Cannot decode 33 bytes as Q8_0: its blocks have 34",
  });
  assert.throws(() => decode("IQ2_S", repeat(82, 0)), /Cannot decode IQ2_S: F32, F16, BF16, Q4_0/);
  assert.throws(
    () => encodeBlocks("Q6_K", new Float32Array(256)),
    /Cannot encode Q6_K: F32, F16, BF16, Q4_0/,
  );
  assert.throws(
    () => encodeBlocks("Q4_0", new Float32Array(31)),
    /Cannot encode 31 values as Q4_0: its blocks hold 32/,
  );
  assert.throws(() => ggufType("Q9"), /Cannot find the GGUF type "Q9": F32, F16/);
});

Deno.test("GGUF_TYPES holds every type that can be decoded, each under its own id", () => {
  for (const name of DECODABLE_TYPES) assert.equal(GGUF_TYPES.get(ggufType(name).id)!.name, name);
  assert.equal(new Set([...GGUF_TYPES.values()].map(({ name }) => name)).size, GGUF_TYPES.size);
});
