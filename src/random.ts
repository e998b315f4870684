/**
 * Random numbers addressed by what they are for, not by when they are drawn.
 *
 * Every number is a pure function of (seed, stream, sequence, index), so a run that resumes at step k draws what
 * the uninterrupted run drew there, and no generator state is saved.
 *
 * @module
 */

/** Where a row of random numbers starts. */
export interface RandomSource {
  /** 0..2³²−1. */
  readonly seed: number;
  /** What the numbers are for: one of `STREAM`, or `streamOf(name)`. */
  readonly stream: number;
  /** A row within the stream, such as the epoch; default 0. */
  readonly sequence?: number;
}

/** Streams with a fixed number. Those of `streamOf()` never meet them. */
export const STREAM = { shuffle: 1, split: 2 } as const;

/** A stream for a named thing, such as a tensor: 31 bits of FNV-1a over its UTF-16 units, top bit set. */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return (hash | 0x80000000) >>> 0;
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const ROUNDS = 20;

/**
 * The block cipher behind every number: threefry2x32 with 20 rounds.
 *
 * @returns Two independent words, each 0..2³²−1.
 * @see Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.2.
 */
export function threefry2x32(
  key0: number,
  key1: number,
  counter0: number,
  counter1: number,
): [number, number] {
  const keys = [key0, key1, key0 ^ key1 ^ 0x1bd11bda] as const;
  let x0 = (counter0 + key0) | 0;
  let x1 = (counter1 + key1) | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const bits = ROTATIONS[round % 8]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << bits) | (x1 >>> (32 - bits))) ^ x0;
    if (round % 4 === 3) {
      const block = (round + 1) / 4;
      x0 = (x0 + keys[block % 3]!) | 0;
      x1 = (x1 + keys[(block + 1) % 3]! + block) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

/**
 * A number in [0, 1): 24 bits, so it is exact in f32.
 *
 * @param index Position in the stream, 0..2³³−1.
 */
export function uniform(seed: number, stream: number, index: number): number {
  return (wordAt({ seed, stream }, index) >>> 8) / 2 ** 24;
}

/**
 * Fills `out[i]` with low + (high − low) · uniform(seed, stream, i). `high` itself occurs only through
 * rounding to f32.
 */
export function fillUniform(out: Float32Array, low: number, high: number, source: RandomSource): void {
  const { seed, stream, sequence = 0 } = source;
  const span = (high - low) / 2 ** 24;
  for (let i = 0; i < out.length; i += 2) {
    const [first, second] = threefry2x32(seed, stream, i / 2, sequence);
    out[i] = low + span * (first >>> 8);
    // A write past the end of an odd array is dropped, as typed arrays do.
    out[i + 1] = low + span * (second >>> 8);
  }
}

/** Draws from N(0, std²), by Box and Muller. */
export function normals(count: number, source: RandomSource, std = 1): Float64Array {
  const uniforms = new Float32Array(2 * count);
  fillUniform(uniforms, 0, 1, source);
  return Float64Array.from({ length: count }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniforms[2 * i]!));
    return std * radius * Math.cos(2 * Math.PI * uniforms[2 * i + 1]!);
  });
}

/**
 * The numbers 0..n−1 in random order, every order equally likely (Fisher and Yates; words that would favour
 * small numbers are drawn again).
 *
 * @throws {RangeError} If n is not an integer in 0..2³².
 */
export function permutation(n: number, source: RandomSource): Uint32Array {
  if (!Number.isInteger(n) || n < 0 || n > 2 ** 32) {
    throw new RangeError(`Cannot permute ${n} things: the number must be an integer in 0..2^32`);
  }
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let draws = 0;
  for (let last = n - 1; last > 0; last--) {
    const fair = 2 ** 32 - (2 ** 32 % (last + 1));
    let word = wordAt(source, draws++);
    while (word >= fair) word = wordAt(source, draws++);
    const chosen = word % (last + 1);
    const kept = order[last]!;
    order[last] = order[chosen]!;
    order[chosen] = kept;
  }
  return order;
}

/** The 32-bit word at a position; two neighbours share a block. */
function wordAt({ seed, stream, sequence = 0 }: RandomSource, index: number): number {
  return threefry2x32(seed, stream, Math.floor(index / 2), sequence)[index % 2 === 0 ? 0 : 1];
}
