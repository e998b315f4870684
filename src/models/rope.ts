/**
 * Rotary position embedding: the angles by which query and key pairs are turned.
 *
 *     inv_i     = theta^(-2i/D),  i in 0..D/2-1, D the turned elements of a head
 *     angle_t,i = t·inv_i
 *
 * Models for contexts longer than those of their first training stretch it. With wavelength λ_i = 2π/inv_i, context L
 * before and context M after:
 *
 *     linear      inv_i / factor
 *     llama3      λ_i < L/high   inv_i
 *                 λ_i > L/low    inv_i / factor
 *                 between        (1-s)·inv_i/factor + s·inv_i,   s = (L/λ_i - low) / (high - low)
 *     yarn        (1-r_i)·inv_i + r_i·inv_i/factor,   r_i = (i - first) / (last - first), held within 0..1;
 *                 cos and sin times 0.1·ln(factor) + 1
 *     longrope    inv_i / short_i for rows of up to L tokens, inv_i / long_i for longer ones;
 *                 cos and sin times √(1 + ln(M/L) / ln L)
 *
 * yarn's first and last are the pairs that turn β_fast and β_slow times over the L tokens, whole numbers unless the
 * model says otherwise: n turns has pair D·ln(L / 2πn) / (2·ln theta).
 *
 * Pair i of a head is elements (i, i + D/2): the halves layout of Hugging Face, not interleaved pairs. Where D is less
 * than a head, the rest of it is not turned.
 *
 * @see Su et al. 2021, arXiv:2104.09864, section 3.2.2; Peng et al. 2023, arXiv:2309.00071 (yarn); Ding et al. 2024,
 * arXiv:2402.13753 (longrope).
 * @module
 */

/** How frequencies are stretched for contexts longer than those trained on. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
    readonly type: "llama3";
    readonly factor: number;
    readonly lowFreqFactor: number;
    readonly highFreqFactor: number;
    /** L, tokens. */
    readonly originalMaxPositionEmbeddings: number;
  }
  | {
    readonly type: "yarn";
    readonly factor: number;
    /** Turns over L tokens from which on a pair keeps its frequency. */
    readonly betaFast: number;
    /** Turns over L tokens up to which a pair is slowed by the whole factor. */
    readonly betaSlow: number;
    /** Whether the pairs of both are taken as whole numbers, the first rounded down, the last up. */
    readonly truncate: boolean;
    /** L, tokens. */
    readonly originalMaxPositionEmbeddings: number;
    /** Factor of cos and sin. */
    readonly attentionFactor: number;
  }
  | {
    readonly type: "longrope";
    /** [rotaryDim / 2] */
    readonly shortFactors: readonly number[];
    /** [rotaryDim / 2] */
    readonly longFactors: readonly number[];
    /** L, tokens. */
    readonly originalMaxPositionEmbeddings: number;
    /** Factor of cos and sin. */
    readonly attentionFactor: number;
  };

/** What decides the angles of a layer. */
export interface Rope {
  /** Elements of a head that are turned, from its first; even. */
  readonly rotaryDim: number;
  readonly theta: number;
  readonly scaling: RopeScaling;
}

/**
 * Frequencies of the pairs of a head, radians per position: [rotaryDim / 2].
 *
 * @param length Tokens of the longest row.
 */
export function inverseFrequencies(
  { rotaryDim, theta, scaling }: Rope,
  length: number,
): Float64Array<ArrayBuffer> {
  const slowed = scaling.type === "yarn" ? yarnRamp(scaling, rotaryDim, theta) : null;
  return Float64Array.from({ length: rotaryDim / 2 }, (_, i) => {
    const frequency = theta ** (-2 * i / rotaryDim);
    if (scaling.type === "linear") return frequency / scaling.factor;
    if (scaling.type === "llama3") return stretched(frequency, scaling);
    if (scaling.type === "yarn") {
      return (1 - slowed!(i)) * frequency + slowed!(i) * frequency / scaling.factor;
    }
    if (scaling.type === "longrope") return frequency / longropeFactors(scaling, length)[i]!;
    return frequency;
  });
}

function stretched(frequency: number, scaling: Extract<RopeScaling, { type: "llama3" }>): number {
  const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings } = scaling;
  const turns = originalMaxPositionEmbeddings * frequency / (2 * Math.PI); // L/λ
  if (turns > high) return frequency;
  if (turns < low) return frequency / factor;
  const s = (turns - low) / (high - low);
  return (1 - s) * frequency / factor + s * frequency;
}

/** How much of the factor slows pair i: 0 for the fast ones, 1 for the slow ones. */
function yarnRamp(
  { betaFast, betaSlow, truncate, originalMaxPositionEmbeddings }: Extract<RopeScaling, { type: "yarn" }>,
  rotaryDim: number,
  theta: number,
): (pair: number) => number {
  const pairTurning = (times: number) =>
    rotaryDim * Math.log(originalMaxPositionEmbeddings / (times * 2 * Math.PI)) / (2 * Math.log(theta));
  const fast = pairTurning(betaFast), slow = pairTurning(betaSlow);
  const first = Math.max(truncate ? Math.floor(fast) : fast, 0);
  const last = Math.min(truncate ? Math.ceil(slow) : slow, rotaryDim - 1);
  const width = last === first ? 0.001 : last - first; // as transformers has it
  return (pair) => Math.min(1, Math.max(0, (pair - first) / width));
}

function longropeFactors(
  { shortFactors, longFactors, originalMaxPositionEmbeddings }: Extract<RopeScaling, { type: "longrope" }>,
  length: number,
): readonly number[] {
  return length > originalMaxPositionEmbeddings ? longFactors : shortFactors;
}

/** Factor of cos and sin. */
export function angleScale({ scaling }: Rope): number {
  return scaling.type === "yarn" || scaling.type === "longrope" ? scaling.attentionFactor : 1;
}

/**
 * Row lengths up to which angles stay the same, rising, `length` the last: longrope has other ones for rows longer than its
 * first context.
 */
export function angleBounds(ropes: Iterable<Rope>, length: number): readonly number[] {
  const firstContexts = [...ropes].flatMap(({ scaling }) =>
    scaling.type === "longrope" ? scaling.originalMaxPositionEmbeddings : []
  );
  const shorter = firstContexts.filter((context) => context < length).sort((a, b) => a - b);
  return [...new Set(shorter), length];
}

/** Row of {@link boundedTables} at which the angles for rows of up to `longest` tokens begin. */
export function firstAngle(bounds: readonly number[], longest: number): number {
  return bounds.filter((bound) => bound < longest).reduce((sum, bound) => sum + bound, 0);
}

/** The tables for rows of each length of `bounds`, one behind the other, each [sum of bounds, rotaryDim / 2]. */
export function boundedTables(rope: Rope, bounds: readonly number[]): ReturnType<typeof ropeTables> {
  const tables = bounds.map((bound) => ropeTables(rope, bound));
  const joined = (which: "cos" | "sin") => {
    const whole = new Float32Array(tables.reduce((sum, table) => sum + table[which].length, 0));
    let at = 0;
    for (const table of tables) {
      whole.set(table[which], at);
      at += table[which].length;
    }
    return whole;
  };
  return { cos: joined("cos"), sin: joined("sin") };
}

/**
 * cos and sin of the angles of positions 0..length-1, each [length, rotaryDim / 2].
 *
 * Angles are computed in f64 and the result is rounded once. PyTorch multiplies in f32, where the angle of
 * position t is off by up to 6e-8·t radians: these tables are the more exact ones.
 */
export function ropeTables(
  rope: Rope,
  length: number,
): { readonly cos: Float32Array<ArrayBuffer>; readonly sin: Float32Array<ArrayBuffer> } {
  const frequencies = inverseFrequencies(rope, length);
  const scale = angleScale(rope);
  const pairs = frequencies.length;
  const cos = new Float32Array(length * pairs);
  const sin = new Float32Array(length * pairs);
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < pairs; i++) {
      const angle = position * frequencies[i]!;
      cos[position * pairs + i] = scale * Math.cos(angle);
      sin[position * pairs + i] = scale * Math.sin(angle);
    }
  }
  return { cos, sin };
}
