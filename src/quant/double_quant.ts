/**
 * Double quantisation: the scales of NF4 blocks, themselves kept in 8 bits. They are shifted to mean zero, and each block
 * of 256 is scaled by its largest magnitude and rounded to the nearest of 256 levels that are dense around zero:
 *
 *     offset = mean(absmax)      nested_c = max |absmax_b − offset|,  b in block c
 *     q_b    = argmin_j |(absmax_b − offset) / nested_c − level_j|
 *     absmax'_b = level_(q_b) · nested_c + offset
 *
 * It saves 0.37 bits a weight: 4.127 in place of 4.5.
 *
 * @see Dettmers et al. 2023, arXiv:2305.14314, section 3; Dettmers 2016, arXiv:1511.04561 for the levels.
 * @module
 */

/** Scales that share a nested scale. */
export const NESTED_BLOCK_VALUES = 256;

/** Points of the grid between −1 and 1, halved. */
const GRID = 65535 / 2;

/** Scales in 8 bits. */
export interface NestedScales {
  /** One code a scale. */
  readonly codes: Uint8Array<ArrayBuffer>;
  /** One nested scale a block of 256. */
  readonly nestedAbsmax: Float32Array<ArrayBuffer>;
  /** Mean of the scales, an f32. */
  readonly offset: number;
}

/**
 * The signed dynamic map: 0, 1, and ± the 2^i cell centres of [0.1, 1]·10^(i−6) for i in 0..6; ascending. Seven decades
 * share the 8 bits, the larger ones with the finer steps.
 */
export const DYNAMIC_LEVELS: Readonly<Float32Array> = dynamicLevels();

function dynamicLevels(): Float32Array {
  const levels = [0, 1];
  for (let decade = 0; decade < 7; decade++) {
    const cells = 2 ** decade, scale = Math.fround(10 ** (decade - 6));
    const step = Math.fround(Math.fround(1 - Math.fround(0.1)) / cells);
    // the edges are counted from the nearer end, as PyTorch's linspace does: the roundings are part of the format
    const edge = (i: number) => {
      const below = i < (cells + 1) / 2;
      return Math.fround(below ? Math.fround(0.1) + step * i : 1 - step * (cells - i));
    };
    for (let i = 0; i < cells; i++) {
      const centre = Math.fround(scale * Math.fround(Math.fround(edge(i) + edge(i + 1)) / 2));
      levels.push(centre, -centre);
    }
  }
  return Float32Array.from(levels).sort();
}

/** Puts scales into 8 bits. All scales of a matrix at once: the offset is their mean. */
export function quantizeScales(absmax: Float32Array): NestedScales {
  const offset = Math.fround(sumAsPytorch(absmax) / Math.max(1, absmax.length));
  const shifted = absmax.map((value) => value - offset);
  const codes = new Uint8Array(absmax.length);
  const nestedAbsmax = new Float32Array(Math.ceil(absmax.length / NESTED_BLOCK_VALUES));
  for (let block = 0; block < nestedAbsmax.length; block++) {
    const first = block * NESTED_BLOCK_VALUES, end = Math.min(first + NESTED_BLOCK_VALUES, absmax.length);
    const values = shifted.subarray(first, end);
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    nestedAbsmax[block] = largest;
    // where all scales are the same, every level times zero is right: bitsandbytes takes the first
    if (largest > 0) { for (let i = first; i < end; i++) codes[i] = nearestLevel(shifted[i]! / largest); }
  }
  return { codes, nestedAbsmax, offset };
}

/**
 * Scales of their 8-bit codes.
 *
 * @param blockValues Scales that share a nested scale.
 * @param levels The value of each code, for files that bring their own.
 */
export function dequantizeScales(
  { codes, nestedAbsmax, offset }: NestedScales,
  blockValues = NESTED_BLOCK_VALUES,
  levels: Readonly<Float32Array> = DYNAMIC_LEVELS,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(codes, (code, i) => {
    return Math.fround(levels[code]! * nestedAbsmax[Math.floor(i / blockValues)]!) + offset;
  });
}

/**
 * Index of the level nearest to a value in −1..1; a tie goes to the lower one. As bitsandbytes does on CPUs, the value is
 * rounded to a grid of 2^16 points first, which decides for some that lie between two levels.
 */
function nearestLevel(value: number): number {
  const point = Math.floor(Math.fround(Math.fround(Math.fround(value) + 1) * GRID) + 0.5);
  const rounded = point / GRID - 1;
  let low = 0, high = DYNAMIC_LEVELS.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (DYNAMIC_LEVELS[middle]! <= rounded) low = middle;
    else high = middle;
  }
  return rounded - DYNAMIC_LEVELS[low]! <= DYNAMIC_LEVELS[high]! - rounded ? low : high;
}

/**
 * Sum in the order that PyTorch adds on x86 in one thread: 8 lanes of a vector, 4 vectors side by side, each a cascade of
 * partial sums. The codes depend on the last bit of the mean; any other order flips some by one.
 */
function sumAsPytorch(values: Float32Array): number {
  const vectors = Math.floor(values.length / 8), rows = Math.floor(vectors / 4);
  const lanes = new Float32Array(8);
  for (let lane = 0; lane < 8; lane++) {
    const columns = [0, 1, 2, 3].map((column) =>
      cascade(rows, (row) => values[32 * row + 8 * column + lane]!)
    );
    let [sum] = columns as [number];
    for (let vector = 4 * rows; vector < vectors; vector++) {
      sum = Math.fround(sum + values[8 * vector + lane]!);
    }
    for (const column of columns.slice(1)) sum = Math.fround(sum + column);
    lanes[lane] = sum;
  }
  let sum = 0;
  for (const value of values.subarray(8 * vectors)) sum = Math.fround(sum + value);
  for (const value of lanes) sum = Math.fround(sum + value);
  return sum;
}

/** Adds in runs of 2^power values, then runs of runs, over four levels. */
function cascade(count: number, valueAt: (index: number) => number): number {
  const power = Math.max(4, Math.floor(Math.ceil(Math.log2(Math.max(1, count))) / 4)), run = 1 << power;
  const levels = new Float32Array(4);
  let i = 0;
  while (i + run <= count) {
    for (const end = i + run; i < end; i++) levels[0]! += valueAt(i);
    for (let level = 1; level < 4; level++) {
      levels[level]! += levels[level - 1]!;
      levels[level - 1] = 0;
      if (i & ((run - 1) << (level * power))) break;
    }
  }
  for (; i < count; i++) levels[0]! += valueAt(i);
  return levels.reduce((sum, level) => Math.fround(sum + level));
}
