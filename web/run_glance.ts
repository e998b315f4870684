/**
 * Runs at a glance, for lists and comparisons: how they went in a few numbers, and which of their options differ.
 *
 * @module
 */
import { CONFIG_FIELDS } from "../src/config.ts";
import type { MetricsRow } from "../src/run_files.ts";
import type { LossPoint } from "./loss_summary.ts";
import { BASIC_OPTIONS, HIDDEN_OPTIONS } from "./presets.ts";
import type { Wire } from "./protocol/job.ts";
import type { RunGlance } from "./protocol/runs.ts";
import { bestEvaluation, type Course, trainingSeconds } from "./run_curves.ts";

/** Points of a curve that is as wide as a word. */
const SPARK_POINTS = 40;

/** What the rows of a run's metrics.jsonl add up to. */
export function courseOf(rows: readonly MetricsRow[]): Course {
  const steps = rows.flatMap(({ step, loss, learning_rate, grad_norm, tokens_per_second, tokens }) =>
    loss === null ? [] : [{
      step,
      loss,
      learningRate: learning_rate!,
      gradNorm: grad_norm!,
      tokensPerSecond: tokens_per_second!,
      tokens: tokens!,
    }]
  );
  const evaluations = rows.flatMap(({ step, eval_loss: loss }) => loss === null ? [] : [{ step, loss }]);
  return { steps, evaluations };
}

/** @param bytes Of all its files. */
export function glanceOf(name: string, course: Course, bytes: number): RunGlance {
  const { steps, evaluations } = course;
  return {
    name,
    bytes,
    seconds: trainingSeconds(steps).at(-1) ?? 0,
    tokens: steps.at(-1)?.tokens ?? 0,
    spark: means(steps, SPARK_POINTS),
    lastLoss: steps.at(-1)?.loss ?? null,
    bestEvaluation: bestEvaluation(evaluations),
  };
}

/** Losses in fewer points: the means of parts of one length. */
function means(points: readonly LossPoint[], most: number): number[] {
  const count = Math.min(most, points.length);
  return Array.from({ length: count }, (_, i) => {
    const part = points.slice(
      Math.floor(i * points.length / count),
      Math.floor((i + 1) * points.length / count),
    );
    return part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
  });
}

/** Options that are of one run alone, or told apart from its settings. */
const NO_SETTINGS: ReadonlySet<string> = new Set(
  [...HIDDEN_OPTIONS].filter((name) => !["load_in_4bit", "load_in_8bit"].includes(name)),
);

/** Options that can be compared, the basic ones first. */
const COMPARED: readonly string[] = [
  ...BASIC_OPTIONS,
  ...CONFIG_FIELDS.map(({ wireName }) => wireName).filter((name) => !BASIC_OPTIONS.includes(name)),
].filter((name) => !NO_SETTINGS.has(name));

/** Names of the settings that are not the same in all configurations. */
export function differingSettings(configs: readonly Wire[]): string[] {
  return COMPARED.filter((name) => new Set(configs.map((config) => JSON.stringify(config[name]))).size > 1);
}

const DEFAULTS: ReadonlyMap<string, unknown> = new Map(
  CONFIG_FIELDS.map((field) => [field.wireName, field.default]),
);

/** Options that say where a run went, and no other run should go. */
const PLACES: ReadonlySet<string> = new Set(
  CONFIG_FIELDS.filter(({ section }) => ["Storage", "Tracking"].includes(section)).map(({ wireName }) =>
    wireName
  )
    .concat("output_dir", "overwrite", "resume", "job_id"),
);

/** What another run like one would be given: its options but for defaults, and for where it went. */
export function settingsAgain(config: Wire): Wire {
  return Object.fromEntries(
    Object.entries(config).filter(([name, value]) =>
      !PLACES.has(name) && JSON.stringify(value) !== JSON.stringify(DEFAULTS.get(name))
    ),
  );
}
