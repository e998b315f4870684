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

/** The 16 levels, picked by the codes of half a word: the first value in the high half of its byte. */
const levels = (w: string) =>
  `var<private> levels_${w}: array<f32, 16> = array<f32, 16>(
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
  -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0);
fn levels_of_${w}(word: u32, i: u32) -> vec4f {
  let codes = (vec4u(word >> (16u * (i % 2u))) >> vec4u(4u, 0u, 12u, 8u)) & vec4u(15u);
  return vec4f(
    levels_${w}[codes.x], levels_${w}[codes.y], levels_${w}[codes.z], levels_${w}[codes.w]);
}`;

/** NF4 with f32 scales: 4.5 bits a value. */
export const NF4 = groupedFormat({
  name: "nf4",
  group: 64,
  wordCount: (rows, cols) => 9 * Math.ceil(rows * cols / 64),
  declare: (w) =>
    `${levels(w)}
fn scale_${w}(i: u32) -> vec2f { return vec2f(bitcast<f32>(${w}[9u * (i / 16u)]), 0.0); }
fn codes_${w}(i: u32) -> vec4f { return levels_of_${w}(${w}[9u * (i / 16u) + 1u + i % 16u / 2u], i); }`,
});

/** NF4 whose scales are quantised too: 4.127 bits a value. */
export const NF4_DOUBLE = groupedFormat({
  name: "nf4_double",
  group: 64,
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
fn codes_${w}(i: u32) -> vec4f {
  let superblock = ${DOUBLE_HEADER_WORDS}u + ${SUPERBLOCK_WORDS}u * (i / 4096u);
  return levels_of_${w}(${w}[superblock + 65u + i % 4096u / 2u], i);
}`,
});
