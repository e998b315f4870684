/**
 * ggml's first family of blocks: 32 values, one f16 scale d, and in the `_1` types one f16 minimum m.
 *
 *     Q4_0  d | 16 bytes of codes           x = d·(q − 8)
 *     Q4_1  d | m | 16 bytes                x = d·q + m
 *     Q5_0  d | 32 high bits | 16 bytes     x = d·(q − 16)
 *     Q5_1  d | m | 32 high bits | 16       x = d·q + m
 *     Q8_0  d | 32 signed bytes             x = d·q
 *
 * Byte i of 4-bit codes holds value i in its low nibble and value i + 16 in its high one. Products of an f16 and a code
 * are exact in f32, so each value is rounded once.
 *
 * @module
 */
import { narrowF16, widenF16 } from "./float16.ts";

const VALUES = 32;
const HALF = VALUES / 2;
/** Added, it changes nothing, not even the sign of zero. */
const NONE = -0;

/** The f16 at a byte of a block. */
export function scaleAt(block: DataView, offset: number): number {
  bits[0] = widenF16(block.getUint16(offset, true));
  return single[0]!;
}
const bits = new Uint32Array(1), single = new Float32Array(bits.buffer);

/** Q4_0, or Q4_1 with a minimum. */
export function decodeQ4(block: DataView, values: Float32Array, first: number, withMinimum: boolean): void {
  const d = scaleAt(block, 0), m = withMinimum ? scaleAt(block, 2) : NONE;
  const codes = withMinimum ? 4 : 2, centre = withMinimum ? 0 : 8;
  for (let i = 0; i < HALF; i++) {
    const pair = block.getUint8(codes + i);
    values[first + i] = d * ((pair & 15) - centre) + m;
    values[first + i + HALF] = d * ((pair >> 4) - centre) + m;
  }
}

/** Q5_0, or Q5_1 with a minimum. */
export function decodeQ5(block: DataView, values: Float32Array, first: number, withMinimum: boolean): void {
  const d = scaleAt(block, 0), m = withMinimum ? scaleAt(block, 2) : NONE;
  const highBits = withMinimum ? 4 : 2, codes = highBits + 4, centre = withMinimum ? 0 : 16;
  const high = block.getUint32(highBits, true);
  for (let i = 0; i < HALF; i++) {
    const pair = block.getUint8(codes + i);
    values[first + i] = d * ((pair & 15 | high >>> i << 4 & 16) - centre) + m;
    values[first + i + HALF] = d * ((pair >> 4 | high >>> (i + HALF) << 4 & 16) - centre) + m;
  }
}

/** Q8_0. */
export function decodeQ8(block: DataView, values: Float32Array, first: number): void {
  const d = scaleAt(block, 0);
  for (let i = 0; i < VALUES; i++) values[first + i] = d * block.getInt8(2 + i);
}

/** Q8_0: d = max |x| / 127, halves rounded away from zero. */
export function encodeQ8_0(values: Float32Array, first: number, block: DataView): void {
  const d = Math.fround(Math.abs(extreme(values, first)) / 127),
    reciprocal = d === 0 ? 0 : Math.fround(1 / d);
  block.setUint16(0, halfBits(d), true);
  for (let i = 0; i < VALUES; i++) {
    const scaled = Math.fround(values[first + i]! * reciprocal);
    block.setInt8(2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5));
  }
}

/** Q4_0: d = x / −8 for the x of largest magnitude, which so becomes code 0 or, rounded down, 15. */
export function encodeQ4_0(values: Float32Array, first: number, block: DataView): void {
  const d = Math.fround(extreme(values, first) / -8), reciprocal = d === 0 ? 0 : Math.fround(1 / d);
  block.setUint16(0, halfBits(d), true);
  const code = (i: number) => {
    const scaled = Math.fround(values[first + i]! * reciprocal);
    return Math.min(15, Math.trunc(Math.fround(scaled + 8.5)));
  };
  for (let i = 0; i < HALF; i++) block.setUint8(2 + i, code(i) | code(i + HALF) << 4);
}

/** The first value of largest magnitude, with its sign. */
function extreme(values: Float32Array, first: number): number {
  let found = 0;
  for (let i = first; i < first + VALUES; i++) if (Math.abs(values[i]!) > Math.abs(found)) found = values[i]!;
  return found;
}

function halfBits(value: number): number {
  single[0] = value;
  return narrowF16(bits[0]!);
}
