/**
 * The course of a run as columns for charts and tables: losses, rates and speed by step, tokens or time.
 *
 * @module
 */
import { clock, compactCount, count } from "./figures.ts";
import { type LossPoint, smoothed } from "./loss_summary.ts";

/** One logged step. */
export interface StepPoint extends LossPoint {
  readonly learningRate: number;
  /** L2 norm over all gradients before clipping. */
  readonly gradNorm: number;
  readonly tokensPerSecond: number;
  /** All tokens of the run by then, padding left out. */
  readonly tokens: number;
}

/** What is told of a run that a chart can show. */
export interface Course {
  /** By step. */
  readonly steps: readonly StepPoint[];
  /** By step. */
  readonly evaluations: readonly LossPoint[];
}

/** What curves run over: optimizer steps, tokens, or seconds of training. */
export const X_AXES = ["steps", "tokens", "time"] as const;
/** One of {@link X_AXES}. */
export type XAxis = typeof X_AXES[number];

/** Shares of the past in each point of a smooth curve, by name. */
export const SMOOTHINGS: ReadonlyMap<string, number> = new Map([
  ["none", 0],
  ["light", 0.6],
  ["medium", 0.8],
  ["strong", 0.95],
]);

/** How a course is looked at. */
export interface CurveView {
  readonly x: XAxis;
  /** Share of the past in each point of the smooth curve. */
  readonly past: number;
  /** Steps at the end that are shown; null for all. */
  readonly last: number | null;
}

type Column = readonly (number | null)[];

/** Columns of one length, one place a step that told something; null where it did not tell that. */
export interface RunCurves {
  readonly x: readonly number[];
  readonly steps: readonly number[];
  readonly loss: Column;
  readonly smooth: Column;
  readonly evaluation: Column;
  /** The lowest evaluation loss at its place, and nothing at all others. */
  readonly best: Column;
  readonly learningRate: Column;
  readonly gradNorm: Column;
  readonly tokensPerSecond: Column;
}

/** Columns of a course. Smoothing and the best evaluation are of all of it, whatever part is shown. */
export function runCurves({ steps, evaluations }: Course, { x, past, last }: CurveView): RunCurves {
  const seconds = trainingSeconds(steps), smooth = smoothed(steps.map(({ loss }) => loss), past);
  const stepAt = new Map(steps.map(({ step }, i) => [step, i]));
  const evaluationAt = new Map(evaluations.map(({ step, loss }) => [step, loss]));
  const all = [...new Set([...stepAt.keys(), ...evaluationAt.keys()])].sort((a, b) => a - b);
  const from = last === null ? 0 : (all.at(-1) ?? 0) - last, shown = all.filter((step) => step > from - 1);
  const best = bestEvaluation(evaluations);
  const placeOf = (step: number) => stepAt.get(step) ?? steps.findLastIndex((point) => point.step < step);
  const xOf: Readonly<Record<XAxis, (step: number) => number>> = {
    steps: (step) => step,
    tokens: (step) => steps[placeOf(step)]?.tokens ?? 0,
    time: (step) => seconds[placeOf(step)] ?? 0,
  };
  const column = (of: (point: StepPoint, place: number) => number): Column =>
    shown.map((step) => {
      const place = stepAt.get(step);
      return place === undefined ? null : of(steps[place]!, place);
    });
  return {
    x: shown.map(xOf[x]),
    steps: shown,
    loss: column(({ loss }) => loss),
    smooth: column((_, place) => smooth[place]!),
    evaluation: shown.map((step) => evaluationAt.get(step) ?? null),
    best: shown.map((step) => step === best?.step ? best.loss : null),
    learningRate: column(({ learningRate }) => learningRate),
    gradNorm: column(({ gradNorm }) => gradNorm),
    tokensPerSecond: column(({ tokensPerSecond }) => tokensPerSecond),
  };
}

/** The evaluation with the lowest loss, the earliest of equals; null without any. */
export function bestEvaluation(evaluations: readonly LossPoint[]): LossPoint | null {
  return evaluations.reduce<LossPoint | null>(
    (best, point) => best === null || point.loss < best.loss ? point : best,
    null,
  );
}

/** Seconds of training by each step: without pauses and evaluations, which no step's speed counts. */
export function trainingSeconds(steps: readonly StepPoint[]): number[] {
  let seconds = 0, before = 0;
  return steps.map(({ tokens, tokensPerSecond }) => {
    const rate = tokensPerSecond > 0 ? tokensPerSecond : Infinity;
    seconds += Math.max(0, tokens - before) / rate;
    before = tokens;
    return seconds;
  });
}

/** A place of an axis in a few characters: 120, 1.2k, 02:05. */
export function axisPlace(x: XAxis, value: number): string {
  if (x === "time") return clock(value);
  return x === "tokens" ? compactCount(value) : String(value);
}

/** The same in words: step 120, 1,204 tokens, 02:05 of training. */
export function placeInWords(x: XAxis, value: number): string {
  if (x === "time") return `${clock(value)} of training`;
  return x === "tokens" ? `${count(value)} tokens` : `step ${value}`;
}

/** Ends of the x axis: from the beginning of all that is shown, with room for the steps to come. */
export function xRange(curves: Pick<RunCurves, "x">, view: CurveView, totalSteps: number): [number, number] {
  const first = view.last === null ? 0 : curves.x.at(0) ?? 0, end = curves.x.at(-1) ?? 0;
  const least = view.x === "steps" ? 1 : Number.MIN_VALUE;
  const wanted = view.x === "steps" && view.last === null ? Math.max(totalSteps, end) : end;
  return [first, wanted > first ? wanted : first + least];
}
