/**
 * GGUF's block formats, read as they lie in the file. Offsets are bytes; i counts vectors of four values, of which a
 * block of 32 has 8 and one of 256 has 64.
 *
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c for the layouts.
 * @module
 */
import { byteReaders, type GroupedFormat, groupedFormat } from "./format.ts";

/** The word at a byte offset within blocks; where those are whole words, offsets are too, and one load is enough. */
const wordAt = (w: string, blockBytes: number, at: string) =>
  blockBytes % 4 === 0 ? `${w}[(${at}) / 4u]` : `word_${w}(${at})`;

/** Blocks of 32 whose 4-bit codes lie in 16 bytes: value j in the low half of byte j, value j + 16 in the high half. */
function nibbles(blockBytes: number, codesAt: number) {
  return (w: string) =>
    `(${wordAt(w, blockBytes, `${blockBytes}u * (i / 8u) + ${codesAt}u + 4u * (i % 4u)`)} >> ` +
    "(4u * (i % 8u / 4u))) & 0x0f0f0f0fu";
}

/** The fifth bits of four neighbours, each moved to bit 4 of its byte. */
const fifthBits = (w: string, blockBytes: number, at: string) =>
  `((vec4u(${
    wordAt(w, blockBytes, at)
  } >> (4u * (i % 8u))) >> vec4u(0u, 1u, 2u, 3u)) & vec4u(1u)) << vec4u(4u)`;

/** Words of blocks that lie one behind the other, whatever the rows. */
const blocks = (blockValues: number, blockBytes: number) => (rows: number, cols: number) =>
  Math.ceil(rows * cols / blockValues * blockBytes / 4);

function block32(
  name: string,
  blockBytes: number,
  scale: (w: string) => string,
  codes: (w: string) => string,
): GroupedFormat {
  return groupedFormat({
    name,
    group: 32,
    cuttable: true,
    wordCount: blocks(32, blockBytes),
    declare: (w) =>
      `${byteReaders(w)}
fn scale_${w}(i: u32) -> vec2f { return ${scale(w)}; }
fn codes_${w}(i: u32) -> vec4f { return ${codes(w)}; }`,
  });
}

const q4_0 = block32(
  "Q4_0",
  18,
  (w) => `f16_${w}(18u * (i / 8u)) * vec2f(1.0, -8.0)`,
  (w) => `vec4f(bytes_${w}(${nibbles(18, 2)(w)}))`,
);
const q4_1 = block32(
  "Q4_1",
  20,
  (w) => `unpack2x16float(${w}[5u * (i / 8u)])`,
  (w) => `vec4f(bytes_${w}(${nibbles(20, 4)(w)}))`,
);
const q5_0 = block32(
  "Q5_0",
  22,
  (w) => `f16_${w}(22u * (i / 8u)) * vec2f(1.0, -16.0)`,
  (w) => `vec4f(bytes_${w}(${nibbles(22, 6)(w)}) | (${fifthBits(w, 22, "22u * (i / 8u) + 2u")}))`,
);
const q5_1 = block32(
  "Q5_1",
  24,
  (w) => `unpack2x16float(${w}[6u * (i / 8u)])`,
  (w) => `vec4f(bytes_${w}(${nibbles(24, 8)(w)}) | (${fifthBits(w, 24, "24u * (i / 8u) + 4u")}))`,
);
const q8_0 = block32(
  "Q8_0",
  34,
  (w) => `vec2f(f16_${w}(34u * (i / 8u)), 0.0)`,
  (w) =>
    `vec4f((vec4i(bytes_${w}(word_${w}(34u * (i / 8u) + 2u + 4u * (i % 8u)))) ^ vec4i(128)) - vec4i(128))`,
);

/** Scale and minimum of the eight sub-blocks of a K-block: 6 bits each in 12 bytes. */
const kScales = (w: string, blockBytes: number) =>
  `fn scale_${w}(i: u32) -> vec2f {
  let block = ${blockBytes}u * (i / 64u);
  let sub = i % 64u / 8u;
  let at = block + 4u + sub % 4u;
  let first = byte_${w}(at);
  let second = byte_${w}(at + 4u);
  let third = byte_${w}(at + 8u);
  let low = vec2u(first & 63u, second & 63u);
  let high = vec2u((third & 15u) | ((first >> 6u) << 4u), (third >> 4u) | ((second >> 6u) << 4u));
  return unpack2x16float(${w}[block / 4u]) * vec2f(select(low, high, sub >= 4u)) * vec2f(1.0, -1.0);
}`;

/** Codes of a K-block: 64 values in 32 bytes, the first 32 in the low halves. */
const kNibbles = (w: string, blockBytes: number, codesAt: number) =>
  `(${
    wordAt(w, blockBytes, `${blockBytes}u * (i / 64u) + ${codesAt}u + 32u * (i % 64u / 16u) + 4u * (i % 8u)`)
  } >> (4u * (i % 16u / 8u))) & 0x0f0f0f0fu`;

const q4_K = groupedFormat({
  name: "Q4_K",
  group: 32,
  cuttable: true,
  wordCount: blocks(256, 144),
  declare: (w) =>
    `${byteReaders(w)}
${kScales(w, 144)}
fn codes_${w}(i: u32) -> vec4f { return vec4f(bytes_${w}(${kNibbles(w, 144, 16)})); }`,
});
const q5_K = groupedFormat({
  name: "Q5_K",
  group: 32,
  cuttable: true,
  wordCount: blocks(256, 176),
  declare: (w) =>
    `${byteReaders(w)}
${kScales(w, 176)}
fn codes_${w}(i: u32) -> vec4f {
  let fifth = (${wordAt(w, 176, "176u * (i / 64u) + 16u + 4u * (i % 8u)")} >> (i % 64u / 8u)) & 0x01010101u;
  return vec4f(bytes_${w}((${kNibbles(w, 176, 48)}) | (fifth << 4u)));
}`,
});
const q6_K = groupedFormat({
  name: "Q6_K",
  group: 16,
  cuttable: true,
  wordCount: blocks(256, 210),
  declare: (w) =>
    `${byteReaders(w)}
fn scale_${w}(i: u32) -> vec2f {
  let block = 210u * (i / 64u);
  let scale = (i32(byte_${w}(block + 192u + i % 64u / 4u)) ^ 128) - 128;
  return vec2f(f16_${w}(block + 208u) * f32(scale), 0.0);
}
fn codes_${w}(i: u32) -> vec4f {
  let block = 210u * (i / 64u);
  let quarter = i % 32u / 8u; // values 32 apart share the bytes of their upper bits
  let low = word_${w}(block + 64u * (i % 64u / 32u) + 32u * (quarter % 2u) + 4u * (i % 8u)) >> (4u * (quarter / 2u));
  let high = word_${w}(block + 128u + 32u * (i % 64u / 32u) + 4u * (i % 8u)) >> (2u * quarter);
  let code = bytes_${w}((low & 0x0f0f0f0fu) | ((high & 0x03030303u) << 4u));
  return vec4f(vec4i(code) - vec4i(32));
}`,
});

/** Formats by the name of their GGUF type. */
export const GGUF_FORMATS: ReadonlyMap<string, GroupedFormat> = new Map(
  [q4_0, q4_1, q5_0, q5_1, q8_0, q4_K, q5_K, q6_K].map((format) => [format.name, format]),
);
