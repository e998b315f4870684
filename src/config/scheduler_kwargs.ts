/**
 * What `lr_scheduler_kwargs` may hold for each `lr_scheduler_type`, with the names of transformers and torch.
 *
 * @module
 */
import type { ConfigIssue } from "../errors.ts";
import { show } from "./issues.ts";
import { didYouMean } from "./nearest.ts";

/** Names as transformers' `lr_scheduler_type` spells them. */
export const SCHEDULE_TYPES = [
  "linear",
  "cosine",
  "cosine_with_restarts",
  "polynomial",
  "constant",
  "constant_with_warmup",
  "inverse_sqrt",
  "reduce_lr_on_plateau",
  "cosine_with_min_lr",
  "cosine_warmup_with_min_lr",
  "warmup_stable_decay",
  "greedy",
] as const;
/** One of {@link SCHEDULE_TYPES}. */
export type ScheduleType = (typeof SCHEDULE_TYPES)[number];

/** Options of a schedule by name. */
export type ScheduleKwargs = Readonly<Record<string, number | string | boolean>>;

/** What a value must be: a test with its wording, or the words to choose from. */
type Rule = readonly string[] | { readonly must: string; readonly holds: (value: unknown) => boolean };

const number = (must: string, holds: (value: number) => boolean): Rule => {
  return { must, holds: (value) => typeof value === "number" && Number.isFinite(value) && holds(value) };
};
const positive = number("must be a number above 0", (value) => value > 0);
const notNegative = number("must be a number of at least 0", (value) => value >= 0);
const share = number("must be a number in 0..1", (value) => value >= 0 && value <= 1);
const factor = number("must be a number above 0 and below 1", (value) => value > 0 && value < 1);
const steps = number(
  "must be a whole number of at least 0",
  (value) => Number.isInteger(value) && value >= 0,
);
const count = number(
  "must be a whole number of at least 1",
  (value) => Number.isInteger(value) && value >= 1,
);
const truth: Rule = { must: "must be true or false", holds: (value) => typeof value === "boolean" };
const curve = ["linear", "cosine", "1-sqrt"];

const byMetric = {
  mode: ["min", "max"],
  factor,
  patience: steps,
  threshold: notNegative,
  threshold_mode: ["rel", "abs"],
  cooldown: steps,
  min_lr: notNegative,
  eps: notNegative,
};
const withMinimum = { num_cycles: positive, min_lr: notNegative, min_lr_rate: share };

const RULES: Readonly<Record<ScheduleType, Readonly<Record<string, Rule>>>> = {
  linear: {},
  cosine: { num_cycles: positive },
  cosine_with_restarts: { num_cycles: positive },
  polynomial: { lr_end: notNegative, power: positive },
  constant: {},
  constant_with_warmup: {},
  inverse_sqrt: { timescale: count },
  reduce_lr_on_plateau: byMetric,
  cosine_with_min_lr: withMinimum,
  cosine_warmup_with_min_lr: { ...withMinimum, warmup_lr_rate: share },
  warmup_stable_decay: {
    num_decay_steps: steps,
    num_stable_steps: steps,
    warmup_type: curve,
    decay_type: curve,
    min_lr_ratio: share,
    num_cycles: positive,
  },
  greedy: {
    ...byMetric,
    warmup: steps,
    max_lr: positive,
    smooth: truth,
    window_size: count,
    reset_start: count,
  },
};

/** Whether the learning rate follows from evaluations, not from the step alone. */
export function followsMetric(type: string): boolean {
  return type === "reduce_lr_on_plateau" || type === "greedy";
}

/** All that is wrong with the options of a schedule; `baseLearningRate` is the run's `learning_rate`. */
export function scheduleIssues(
  type: ScheduleType,
  kwargs: ScheduleKwargs,
  baseLearningRate: number,
): ConfigIssue[] {
  const path = "lr_scheduler_kwargs";
  const rules = RULES[type];
  const issues = Object.entries(kwargs).flatMap(([name, value]): ConfigIssue[] => {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    const problem = rule ? broken(rule, value) : unknown(name, type);
    return problem === null ? [] : [{ path, message: rule ? `${name} ${problem}` : problem }];
  });
  const together = issues.length > 0 ? null : brokenTogether(type, kwargs, baseLearningRate);
  return together === null ? issues : [{ path, message: together }];
}

function broken(rule: Rule, value: unknown): string | null {
  const isList = "length" in rule;
  if (isList ? rule.includes(String(value)) : rule.holds(value)) return null;
  return `${isList ? `must be one of ${rule.join(", ")}` : rule.must}: current value is ${show(value)}`;
}

function unknown(name: string, type: ScheduleType): string {
  const known = Object.keys(RULES[type]);
  const has = known.length === 0 ? "takes no options" : `takes ${known.join(", ")}`;
  return `"${name}" is no option of ${type}, which ${has}${didYouMean(name, known)}`;
}

/** Rules that take more than one value, as transformers has them. */
function brokenTogether(type: ScheduleType, kwargs: ScheduleKwargs, base: number): string | null {
  if (RULES[type] === RULES.cosine_with_min_lr || type === "cosine_warmup_with_min_lr") {
    const given = ["min_lr", "min_lr_rate"].filter((name) => name in kwargs);
    if (given.length !== 1) {
      return `must hold either min_lr or min_lr_rate for ${type}: it holds ${show(kwargs)}`;
    }
  }
  if (type === "warmup_stable_decay" && !("num_decay_steps" in kwargs)) {
    return `must hold num_decay_steps for ${type}: it holds ${show(kwargs)}`;
  }
  const end = Number(kwargs.lr_end ?? 1e-7);
  if (type === "polynomial" && end >= base) {
    return `lr_end must be below learning_rate (${base}): current value is ${end}`;
  }
  return null;
}
