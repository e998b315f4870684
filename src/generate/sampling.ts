/**
 * Choosing the next token from logits.
 *
 *     z_i  <- z_i / penalty where z_i > 0, z_i · penalty elsewhere        for tokens i that occurred
 *     p_i   = exp(z_i / temperature) / Σ_j exp(z_j / temperature)        over the top_k largest
 *
 * then the smallest set of most probable tokens whose probabilities reach top_p, scaled to sum 1: the order in which
 * transformers applies them.
 *
 * @see Holtzman et al. 2020, arXiv:1904.09751 (top_p); Keskar et al. 2019, arXiv:1909.05858, section 4.1 (penalty).
 * @module
 */
import { type ConfigIssue, DivergedError } from "../errors.ts";
import { streamOf, threefry2x32 } from "../random.ts";

/** How tokens are chosen. */
export interface SamplingOptions {
  /** 0 takes the most probable token; below 1 sharpens, above 1 flattens. Default 0. */
  readonly temperature: number;
  /** Only this many most probable tokens; 0 for all. Default 0. */
  readonly topK: number;
  /** Only the most probable tokens that make up this share, 0 < share ≤ 1. Default 1. */
  readonly topP: number;
  /** Above 1 makes tokens of the prompt and the answer less probable. Default 1. */
  readonly repetitionPenalty: number;
  /** 0..2³²−1; with the same seed the same tokens are drawn. Default 0. */
  readonly seed: number;
}

export const GREEDY: SamplingOptions = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1, seed: 0 };

/** Tokens that may come next and their probabilities; the most probable first where top_k or top_p leaves some out. */
export interface Distribution {
  readonly ids: Int32Array;
  readonly probabilities: Float64Array;
}

/** Every option that is out of its range. */
export function samplingIssues(options: SamplingOptions): ConfigIssue[] {
  const { temperature, topK, topP, repetitionPenalty, seed } = options;
  const rules: [path: string, value: number, valid: boolean, range: string][] = [
    ["temperature", temperature, temperature >= 0 && Number.isFinite(temperature), "0 or more"],
    ["top_k", topK, Number.isInteger(topK) && topK >= 0, "a whole number of 0 or more"],
    ["top_p", topP, topP > 0 && topP <= 1, "above 0 and at most 1"],
    [
      "repetition_penalty",
      repetitionPenalty,
      repetitionPenalty > 0 && Number.isFinite(repetitionPenalty),
      "above 0",
    ],
    ["seed", seed, Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32, "a whole number in 0..4294967295"],
  ];
  return rules.filter(([, , valid]) => !valid).map(([path, value, , range]) => {
    return { path, message: `must be ${range}: current value is ${value}` };
  });
}

/**
 * The token that follows.
 *
 * @param logits [V]; overwritten where a penalty applies.
 * @param seen Ids of the prompt and of what was generated.
 * @param at Row and step, which address the random number.
 * @throws {DivergedError} If a logit is not a finite number.
 */
export function nextToken(
  logits: Float32Array,
  seen: ReadonlySet<number>,
  options: SamplingOptions,
  at: { readonly row: number; readonly step: number },
): number {
  penalise(logits, seen, options.repetitionPenalty);
  if (options.temperature === 0) return largest(logits);
  const { ids, probabilities } = distributionOf(logits, options);
  let rest = randomAt(options.seed, at.row, at.step);
  for (let i = 0; i < ids.length; i++) {
    rest -= probabilities[i]!;
    if (rest < 0) return ids[i]!;
  }
  return ids.at(-1)!; // rounding left a little
}

/** The distribution that {@link nextToken} draws from; `temperature` must be above 0. */
export function distributionOf(
  logits: Float32Array,
  { temperature, topK, topP }: Pick<SamplingOptions, "temperature" | "topK" | "topP">,
): Distribution {
  const most = logits[largest(logits)]!;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - most) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (topK === 0 && topP === 1) {
    return { ids: Int32Array.from(weights.keys()), probabilities: weights.map((weight) => weight / total) };
  }
  const ids = idsAbove(weights, leastWeight(weights, topK, total * (1 - topP)))
    .sort((a, b) => weights[b]! - weights[a]! || a - b);
  const ranked = topK > 0 ? ids.subarray(0, topK) : ids;
  const share = topP * (topK > 0 ? sumOf(ranked, weights) : total);
  let kept = 0, mass = 0;
  while (kept < ranked.length && mass < share) mass += weights[ranked[kept++]!]!;
  const nucleus = ranked.subarray(0, kept);
  return { ids: nucleus, probabilities: Float64Array.from(nucleus, (id) => weights[id]! / mass) };
}

/**
 * A weight that every token which is kept reaches, so that few of a large vocabulary need sorting. With top_k it is the
 * k-th largest. Without, tokens that each weigh less than `spare` / V weigh less than `spare` together: the others reach
 * top_p without them.
 */
function leastWeight(weights: Float64Array, topK: number, spare: number): number {
  if (topK === 0) return spare / weights.length;
  return topK >= weights.length ? 0 : weights.toSorted()[weights.length - topK]!;
}

function idsAbove(weights: Float64Array, least: number): Int32Array {
  const ids = new Int32Array(weights.length);
  let count = 0;
  for (let id = 0; id < weights.length; id++) if (weights[id]! >= least) ids[count++] = id;
  return ids.subarray(0, count);
}

function sumOf(ids: Int32Array, weights: Float64Array): number {
  let sum = 0;
  for (const id of ids) sum += weights[id]!;
  return sum;
}

function penalise(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): void {
  if (penalty === 1) return;
  for (const id of seen) logits[id]! *= logits[id]! > 0 ? 1 / penalty : penalty;
}

/** Index of the largest value, the first of equals. */
function largest(logits: Float32Array): number {
  let best = 0, finite = true;
  for (let id = 0; id < logits.length; id++) {
    finite &&= Number.isFinite(logits[id]);
    if (logits[id]! > logits[best]!) best = id;
  }
  if (finite) return best;
  throw new DivergedError(
    "The model gives a logit that is not a finite number: its weights, or those of the adapter, are damaged",
    0,
  );
}

const STREAM = streamOf("generate");

/** A number in [0, 1), the same for the same (seed, row, step) whatever else is generated beside it. */
function randomAt(seed: number, row: number, step: number): number {
  return threefry2x32(seed, STREAM, step, row)[0] / 2 ** 32;
}
