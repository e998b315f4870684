/**
 * Formats whose layout on the GPU is ours: half-precision floats, int8 and NF4. See `layout.ts` for the words.
 *
 * @module
 */
import { groupedFormat } from "./format.ts";
import { DOUBLE_HEADER_WORDS, doubleWordCount, SUPERBLOCK_WORDS } from "./layout.ts";

const ONE = "vec2f(1.0, 0.0)";

/** IEEE half precision, two values a word. */
export const F16 = groupedFormat({
  name: "f16",
  group: "row",
  wordCount: (rows, cols) => rows * cols / 2,
  declare: (w) =>
    `fn scale_${w}(i: u32) -> vec2f { return ${ONE}; }
fn codes_${w}(i: u32) -> vec4f {
  return vec4f(unpack2x16float(${w}[2u * i]), unpack2x16float(${w}[2u * i + 1u]));
}`,
});

/** The upper half of an f32, two values a word. */
export const BF16 = groupedFormat({
  name: "bf16",
  group: "row",
  wordCount: (rows, cols) => rows * cols / 2,
  declare: (w) =>
    `fn scale_${w}(i: u32) -> vec2f { return ${ONE}; }
fn codes_${w}(i: u32) -> vec4f {
  let words = vec2u(${w}[2u * i], ${w}[2u * i + 1u]);
  return bitcast<vec4f>(vec4u(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
}`,
});

/** Codes -127..127 of a row behind its scale absmax / 127. */
export const INT8 = groupedFormat({
  name: "int8",
  group: "row",
  wordCount: (rows, cols) => rows * (1 + cols / 4),
  declare: (w) =>
    `fn scale_${w}(i: u32) -> vec2f {
  let row = i / (params.${w}_cols / 4u);
  return vec2f(bitcast<f32>(${w}[row * (params.${w}_cols / 4u + 1u)]), 0.0);
}
fn codes_${w}(i: u32) -> vec4f {
  let row = i / (params.${w}_cols / 4u);
  let word = ${w}[i + row + 1u];
  return vec4f((vec4i((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu)) ^ vec4i(128)) - vec4i(128));
}`,
});

const LEVELS = [
  "-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453",
  "-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0",
  "0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224",
  "0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0",
].flatMap((four) => four.split(", "));

/** Picks among 2^n levels by the bits of four codes: a table in memory would cost a load for each value. */
function picked(levels: readonly string[], bit: number): string {
  if (levels.length === 1) return `vec4f(${levels[0]})`;
  const half = levels.length / 2;
  const [low, high] = [levels.slice(0, half), levels.slice(half)].map((some) => picked(some, bit - 1));
  return `select(${low}, ${high}, bit${bit})`;
}

/** The 16 levels, picked by the codes of half a word: the first value in the high half of its byte. */
const levels = (w: string) =>
  `fn levels_of_${w}(half_word: u32) -> vec4f {
  let codes = vec4u(half_word) >> vec4u(4u, 0u, 12u, 8u);
  let bit0 = (codes & vec4u(1u)) != vec4u(0u);
  let bit1 = (codes & vec4u(2u)) != vec4u(0u);
  let bit2 = (codes & vec4u(4u)) != vec4u(0u);
  let bit3 = (codes & vec4u(8u)) != vec4u(0u);
  return ${picked(LEVELS, 3)};
}
fn codes_${w}(i: u32) -> vec4f { return levels_of_${w}(word_of_${w}(i) >> (16u * (i % 2u))); }
fn pair_${w}(i: u32) -> mat2x4f {
  let word = word_of_${w}(i);
  return mat2x4f(levels_of_${w}(word), levels_of_${w}(word >> 16u));
}`;

/** NF4 with f32 scales: 4.5 bits a value. */
export const NF4 = groupedFormat({
  name: "nf4",
  group: 64,
  paired: true,
  wordCount: (rows, cols) => 9 * Math.ceil(rows * cols / 64),
  declare: (w) =>
    `${levels(w)}
fn scale_${w}(i: u32) -> vec2f { return vec2f(bitcast<f32>(${w}[9u * (i / 16u)]), 0.0); }
fn word_of_${w}(i: u32) -> u32 { return ${w}[9u * (i / 16u) + 1u + i % 16u / 2u]; }`,
});

/** NF4 whose scales are quantised too: 4.127 bits a value. */
export const NF4_DOUBLE = groupedFormat({
  name: "nf4_double",
  group: 64,
  paired: true,
  wordCount: doubleWordCount,
  declare: (w) =>
    `${levels(w)}
fn scale_${w}(i: u32) -> vec2f {
  let superblock = ${DOUBLE_HEADER_WORDS}u + ${SUPERBLOCK_WORDS}u * (i / 4096u);
  let block = i % 4096u / 16u;
  let code = (${w}[superblock + 1u + block / 4u] >> (8u * (block % 4u))) & 0xffu;
  let level = bitcast<f32>(${w}[1u + code]);
  return vec2f(level * bitcast<f32>(${w}[superblock]) + bitcast<f32>(${w}[0]), 0.0);
}
fn word_of_${w}(i: u32) -> u32 {
  let superblock = ${DOUBLE_HEADER_WORDS}u + ${SUPERBLOCK_WORDS}u * (i / 4096u);
  return ${w}[superblock + 65u + i % 4096u / 2u];
}`,
});
