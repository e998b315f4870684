/**
 * ggml's K blocks: 256 values in sub-blocks that have scales of their own, themselves quantised against an f16.
 *
 *     Q4_K  d | dmin | 12 bytes of 6-bit scales s and minima m, 8 each | 128 bytes of codes
 *     Q5_K  d | dmin | 12 bytes | 32 bytes of high bits | 128 bytes
 *           x = d·s_b·q − dmin·m_b                                  sub-blocks of 32
 *     Q6_K  128 bytes of low 4 bits | 64 bytes of high 2 bits | 16 signed bytes s | d
 *           x = d·s_b·(q − 32)                                      sub-blocks of 16
 *
 * Every term has at most 25 significant bits, so each value is rounded once, as in ggml.
 *
 * @module
 */
import { scaleAt } from "./round_blocks.ts";

const SUB_BLOCKS = 8;
const SUB_VALUES = 32;

/** Q4_K: codes of sub-blocks 2p and 2p + 1 are the low and high nibbles of bytes 32p..32p+31. */
export function decodeQ4K(block: DataView, values: Float32Array, first: number): void {
  const codes = 16;
  for (let b = 0; b < SUB_BLOCKS; b++) {
    const { scale, minimum } = subScales(block, b);
    const start = codes + SUB_VALUES * (b >> 1), shift = 4 * (b & 1);
    for (let i = 0; i < SUB_VALUES; i++) {
      values[first + SUB_VALUES * b + i] = scale * (block.getUint8(start + i) >> shift & 15) - minimum;
    }
  }
}

/** Q5_K: as Q4_K, with the fifth bit of value i of sub-block b at bit b of the i-th high byte. */
export function decodeQ5K(block: DataView, values: Float32Array, first: number): void {
  const high = 16, codes = 48;
  for (let b = 0; b < SUB_BLOCKS; b++) {
    const { scale, minimum } = subScales(block, b);
    const start = codes + SUB_VALUES * (b >> 1), shift = 4 * (b & 1);
    for (let i = 0; i < SUB_VALUES; i++) {
      const code = block.getUint8(start + i) >> shift & 15 | block.getUint8(high + i) >> b << 4 & 16;
      values[first + SUB_VALUES * b + i] = scale * code - minimum;
    }
  }
}

/** Q6_K: two halves of 128 values; in each, runs 0..3 of 32 take their high bits from bits 2r of the same 32 bytes. */
export function decodeQ6K(block: DataView, values: Float32Array, first: number): void {
  const high = 128, scales = 192, d = scaleAt(block, 208);
  for (let run = 0; run < SUB_BLOCKS; run++) {
    const half = run >> 2, inHalf = run & 3;
    const low = 64 * half + 32 * (inHalf & 1), lowShift = 4 * (inHalf >> 1);
    for (let i = 0; i < SUB_VALUES; i++) {
      const highBits = block.getUint8(high + 32 * half + i) >> 2 * inHalf & 3;
      const code = (block.getUint8(low + i) >> lowShift & 15 | highBits << 4) - 32;
      values[first + SUB_VALUES * run + i] = d * block.getInt8(scales + 2 * run + (i >> 4)) * code;
    }
  }
}

/**
 * d·s and dmin·m of a sub-block. The first four of each are the low 6 bits of bytes 4..7 and 8..11; of the others, bytes
 * 12..15 hold the low nibbles (s low, m high), and the top bits of bytes 4..11 the rest.
 */
function subScales(block: DataView, b: number): { scale: number; minimum: number } {
  const byte = (i: number) => block.getUint8(4 + i);
  const s = b < 4 ? byte(b) & 63 : byte(b + 4) & 15 | byte(b - 4) >> 6 << 4;
  const m = b < 4 ? byte(b + 4) & 63 : byte(b + 4) >> 4 | byte(b) >> 6 << 4;
  return { scale: scaleAt(block, 0) * s, minimum: scaleAt(block, 2) * m };
}
