/**
 * NF4, the 4-bit format of QLoRA: each block of 64 values is scaled by its largest magnitude, and each scaled
 * value becomes the index of the nearest of 16 levels, the quantiles of a normal distribution.
 *
 *     absmax_b = max |x_i|,  i in block b
 *     q_i      = argmin_j |x_i / absmax_b − level_j|        a tie goes to the lower level
 *     x̂_i      = level_(q_i) · absmax_b
 *
 * Blocks run over the matrix flattened row by row, so a block may span two rows; the last may be short. Codes, scales
 * and values equal those of bitsandbytes bit for bit.
 *
 * Codes are packed two a byte, the first in the high nibble. Read as little-endian u32, word w holds the values
 * 8w..8w+7: value i stands at bit 8·⌊(i mod 8) / 2⌋ + 4·(1 − i mod 2). The GPU takes these bytes as they are.
 *
 * @see Dettmers et al. 2023, arXiv:2305.14314, section 3.
 * @module
 */

/** Values that share a scale. */
export const NF4_BLOCK_VALUES = 64;

/** The value of each code at absmax 1, ascending; code 7 is zero. */
export const NF4_LEVELS: Readonly<Float32Array> = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

/** Halfway between neighbours, rounded to f32 as everything here is. */
const MIDPOINTS = Float32Array.from({ length: 15 }, (_, i) => {
  return Math.fround(NF4_LEVELS[i]! + NF4_LEVELS[i + 1]!) / 2;
});

/** Keeps the reciprocal of a zero block's scale finite. */
const SMALLEST_SCALE = Math.fround(1e-38);

/** A run of quantised values. */
export interface Nf4Blocks {
  /** Two codes a byte; with an odd number of values the last low nibble is zero's code. */
  readonly codes: Uint8Array<ArrayBuffer>;
  /** One scale a block. */
  readonly absmax: Float32Array<ArrayBuffer>;
}

/**
 * Quantises a run of values that begins with a block: a whole matrix, or as many rows at a time as
 * {@link wholeBlockRows} allows. Only the matrix's last block may be short.
 *
 * @throws {RangeError} If a value is not finite.
 */
export function quantizeNf4(values: Float32Array, blockValues = NF4_BLOCK_VALUES): Nf4Blocks {
  const codes = new Uint8Array(Math.ceil(values.length / 2));
  const absmax = new Float32Array(Math.ceil(values.length / blockValues));
  for (let block = 0; block < absmax.length; block++) {
    const first = block * blockValues, end = Math.min(first + blockValues, values.length);
    const largest = largestMagnitude(values, first, end);
    absmax[block] = largest;
    const scale = Math.max(largest, SMALLEST_SCALE), reciprocal = Math.fround(1 / scale);
    // bitsandbytes multiplies by the reciprocal in whole blocks and divides in a short one
    const whole = end - first === blockValues;
    for (let i = first; i < end; i++) {
      const scaled = Math.fround(whole ? values[i]! * reciprocal : values[i]! / scale);
      codes[i >> 1]! |= nearestLevel(scaled) << (i & 1 ? 0 : 4);
    }
  }
  if (values.length % 2 === 1) codes[codes.length - 1]! |= nearestLevel(0);
  return { codes, absmax };
}

/**
 * Values of the codes of a run that begins with a block.
 *
 * @param count Number of values; absmax holds at least ⌈count / blockValues⌉ scales.
 * @param levels The value of each code, for files that bring their own.
 */
export function dequantizeNf4(
  codes: Uint8Array,
  absmax: Float32Array,
  count: number,
  blockValues = NF4_BLOCK_VALUES,
  levels: Readonly<Float32Array> = NF4_LEVELS,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const pair = codes[i >> 1]!;
    values[i] = levels[i & 1 ? pair & 15 : pair >> 4]! * absmax[Math.floor(i / blockValues)]!;
  }
  return values;
}

/** The smallest number of rows of `cols` values that is a whole number of blocks: 1 where a row is, 16 for 100 columns. */
export function wholeBlockRows(cols: number, blockValues = NF4_BLOCK_VALUES): number {
  let [divisor, rest] = [blockValues, cols % blockValues];
  while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  return blockValues / divisor;
}

function largestMagnitude(values: Float32Array, first: number, end: number): number {
  let largest = 0;
  for (let i = first; i < end; i++) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude > largest) largest = magnitude;
    if (magnitude < Infinity) continue;
    throw new RangeError(
      `Cannot quantise value ${i} of the run as it is ${values[i]}: the weights are damaged or overflow`,
    );
  }
  return largest;
}

/** Number of midpoints below a value, by bisection. */
function nearestLevel(scaled: number): number {
  let level = scaled > MIDPOINTS[7]! ? 8 : 0;
  if (scaled > MIDPOINTS[level + 3]!) level += 4;
  if (scaled > MIDPOINTS[level + 1]!) level += 2;
  return scaled > MIDPOINTS[level]! ? level + 1 : level;
}
