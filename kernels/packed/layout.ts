/**
 * The words of the packed formats that are not a file's own.
 *
 *     f16, bf16   two values a word, the first in the low half
 *     int8        a row: absmax / 127 as f32, then four codes a word; columns are divisible by 4
 *     nf4         a block of 64: absmax as f32, then 8 words of codes as `src/quant/nf4.ts` packs them
 *     nf4_double  the mean of the scales, the 256 levels of their codes, then superblocks of 256 blocks: nested scale,
 *                 64 words of scale codes, 2048 words of codes; the last one ends with its last code
 *
 * @module
 */

/** Mean and levels. */
export const DOUBLE_HEADER_WORDS = 257;
export const SUPERBLOCK_WORDS = 1 + 64 + 2048;
const SUPERBLOCK_BYTES = 8192, SUPERBLOCK_SCALES = 256;
const BLOCK_BYTES = 32;

/** int8 rows of `cols` codes with their absmax. */
export function int8Words(codes: Int8Array, absmax: Float32Array, cols: number): Uint32Array<ArrayBuffer> {
  const stride = 1 + cols / 4;
  const words = new Uint32Array(absmax.length * stride), floats = new Float32Array(words.buffer);
  const bytes = new Int8Array(words.buffer);
  absmax.forEach((largest, row) => {
    floats[row * stride] = largest / 127;
    bytes.set(codes.subarray(row * cols, (row + 1) * cols), 4 * (row * stride + 1));
  });
  return words;
}

/** NF4 blocks with their scales. */
export function nf4Words(codes: Uint8Array, absmax: Float32Array): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(9 * absmax.length), floats = new Float32Array(words.buffer);
  const bytes = new Uint8Array(words.buffer);
  absmax.forEach((largest, block) => {
    floats[9 * block] = largest;
    bytes.set(codes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES), 36 * block + 4);
  });
  return words;
}

/** Words of nf4_double. */
export function doubleWordCount(rows: number, cols: number): number {
  const bytes = Math.ceil(rows * cols / 2), whole = Math.ceil(bytes / SUPERBLOCK_BYTES) - 1;
  return DOUBLE_HEADER_WORDS + whole * SUPERBLOCK_WORDS + 65 +
    Math.ceil((bytes - whole * SUPERBLOCK_BYTES) / 4);
}

/** Double-quantised scales: a code each, nested scales, the levels of the codes and the mean. */
export interface DoubleScales {
  readonly codes: Uint8Array;
  readonly nestedAbsmax: Float32Array;
  readonly levels: Readonly<Float32Array>;
  readonly offset: number;
}

/** NF4 blocks with quantised scales. */
export function nf4DoubleWords(codes: Uint8Array, scales: DoubleScales): Uint32Array<ArrayBuffer> {
  const last = scales.nestedAbsmax.length - 1;
  const lastBytes = codes.length - last * SUPERBLOCK_BYTES;
  const words = new Uint32Array(
    DOUBLE_HEADER_WORDS + last * SUPERBLOCK_WORDS + 65 + Math.ceil(lastBytes / 4),
  );
  const floats = new Float32Array(words.buffer), bytes = new Uint8Array(words.buffer);
  floats[0] = scales.offset;
  floats.set(scales.levels, 1);
  scales.nestedAbsmax.forEach((nested, at) => {
    const first = DOUBLE_HEADER_WORDS + at * SUPERBLOCK_WORDS;
    floats[first] = nested;
    const inScales = scales.codes.subarray(at * SUPERBLOCK_SCALES, (at + 1) * SUPERBLOCK_SCALES);
    bytes.set(inScales, 4 * (first + 1));
    bytes.set(codes.subarray(at * SUPERBLOCK_BYTES, (at + 1) * SUPERBLOCK_BYTES), 4 * (first + 65));
  });
  return words;
}

/** A file's bytes as words, the last one filled up with zeros. */
export function wordsOf(bytes: Uint8Array): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  return words;
}
