/**
 * Flags of `lowrank eval`, and what they mean.
 *
 * @module
 */
import type { EvaluationOptions } from "../evaluation.ts";
import { type Metric, METRICS } from "../evaluation/events.ts";
import { ConfigError, type ConfigIssue } from "../errors.ts";
import { readConfigFile } from "./config_file.ts";
import { type FlagSpec, GENERAL_FLAGS, type ParsedFlags, TRAIN_FLAGS } from "./flags.ts";
import { textOf } from "./generate_flags.ts";
import { exitCodeTable, flagTable } from "./help.ts";
import type { CliIo } from "./io.ts";
import { PLUGINS_FLAG } from "./plugin_flag.ts";
import { resolveWithPlugins } from "./sources.ts";

/** Options of a job that say which model is measured on what, under the heading where help lists them. */
const JOB_OPTIONS: Readonly<Record<string, string>> = {
  "config": "Model",
  "base-model": "Model",
  "adapter-path": "Model",
  "quantization": "Model",
  "gpu": "Model",
  "require-gpu": "Model",
  "eval-data-path": "Data",
  "data-format": "Data",
  "column-mapping": "Data",
  "train-on": "Data",
  "max-length": "Data",
  "allow-special-tokens": "Data",
  "chat-template-path": "Data",
  "eval-batch-size": "Measure",
};

/** What help says of them where it is another thing than for training. */
const OTHER_HELP: Readonly<Record<string, string>> = {
  "adapter-path": "PEFT adapter folder to measure beside its base",
  "eval-data-path": "Rows to measure on: JSON Lines, JSON, CSV or Parquet",
};

const SECTIONS = ["Model", "Data", "Measure", "Output", "General"];

const flag = (
  section: string,
  name: string,
  placeholder: string | null,
  help: string,
  more: Partial<FlagSpec> = {},
): FlagSpec => ({ name, section, placeholder, help, aliases: [], ...more });

const OWN_FLAGS: readonly FlagSpec[] = [
  flag(
    "Measure",
    "metric",
    "NAMES",
    "What to measure: loss (with perplexity and token accuracy), exact_match of greedy answers",
    { aliases: ["metrics"], defaultText: METRICS.join(",") },
  ),
  flag("Measure", "limit", "N", "Rows to measure on, the first ones", { defaultText: "all" }),
  flag("Measure", "max-new-tokens", "N", "New tokens of an answer at most", {
    defaultText: "a few more than the longest expected answer",
  }),
  flag(
    "Measure",
    "compare-base",
    null,
    "Measure the base model too beside an adapter; --no- to leave it out",
    {
      defaultText: "on",
    },
  ),
  flag("Output", "out", "FILE", "Write every question and its answers there, a JSON object a line"),
  flag("Output", "rows", "N", "Answers to show", { defaultText: "3" }),
  flag("Output", "json", null, "The scores as JSON on standard output, all else on standard error"),
  flag("Output", "quiet", null, "No progress", { short: "q" }),
];

/** Flags of `eval`. */
export const EVAL_FLAGS: readonly FlagSpec[] = [
  ...Object.entries(JOB_OPTIONS).flatMap(([name, section]) =>
    TRAIN_FLAGS.filter((spec) => spec.name === name)
      .map((spec) => ({ ...spec, section, help: OTHER_HELP[name] ?? spec.help }))
  ),
  ...OWN_FLAGS,
  PLUGINS_FLAG,
  ...GENERAL_FLAGS,
];

/** What `lowrank eval --help` prints. */
export function evalHelp(): string {
  return `lowrank eval: how good a model is at rows of data, before and after training

Usage: lowrank eval --base-model MODEL [--adapter-path PATH] --eval-data-path PATHS [options]

${flagTable(EVAL_FLAGS, SECTIONS)}

A row's question is what comes before its last trained part; rows of plain text have none. Answers
are greedy, and exact where they are the expected text, white space around both left out.
A configuration file of train serves here too, and so do its LOWRANK_ variables: what concerns
training is passed by.

Exit codes
${exitCodeTable()}

Examples
  lowrank eval --base-model models/smollm2 --eval-data-path eval.jsonl --limit 100
  lowrank eval --base-model models/smollm2 --adapter-path runs/ember/adapter \\
    --eval-data-path eval.jsonl --metric exact_match --out answers.jsonl
`;
}

/** What the flags, variables and the file ask for, but for folders, GPU and signal. */
export type EvalRequest =
  & Omit<EvaluationOptions, "files" | "dataFiles" | "gpu" | "device" | "signal">
  & Required<Pick<EvaluationOptions, "adapter" | "chatTemplatePath" | "plugins">>
  & {
    readonly gpu: string;
    readonly requireGpu: boolean;
    /** Answers to show. */
    readonly shown: number;
  };

/** @throws {ConfigError} With everything that is wrong with the flags. */
export async function evalRequest(
  { values, positionals, issues: unknown }: ParsedFlags,
  io: Pick<CliIo, "env" | "readTextFile" | "loadPlugins">,
): Promise<EvalRequest> {
  const issues: ConfigIssue[] = unknown.length > 0 ? [...unknown] : positionals.map((word) => ({
    path: `"${word}"`,
    message: "is not expected: options start with --",
  }));
  if (issues.length > 0) throw new ConfigError(issues);
  const flags = { values, positionals, issues: [] };
  const limit = wholeNumber(flags, "limit", 1, issues);
  const maxNewTokens = wholeNumber(flags, "max_new_tokens", 1, issues);
  const shown = wholeNumber(flags, "rows", 0, issues) ?? 3;
  const metrics = metricsOf(flags, issues);
  const own = new Set([
    "config",
    ...[...OWN_FLAGS, ...GENERAL_FLAGS].flatMap(({ name, aliases }) => [name, ...aliases]),
  ]);
  const options = [...values].filter(([name]) => !own.has(name.replaceAll("_", "-")));
  const path = textOf(flags, "config");
  const { config, plugins } = await resolveWithPlugins({
    flags: { ...Object.fromEntries(options), output_model_name: "eval", training_data_path: "none" },
    env: io.env,
    ...(path === null ? {} : { file: { path, options: await readConfigFile(path, io.readTextFile) } }),
  }, io.loadPlugins);
  const { job, training, quantization } = config;
  if (job.evalDataPath === null) {
    issues.push({ path: "--eval-data-path", message: "is missing: name the rows to measure on" });
  }
  if (issues.length > 0) throw new ConfigError(issues);
  return {
    model: job.baseModel,
    adapter: job.adapterPath,
    quantization: quantization.loadIn4bit ? "4bit" : quantization.loadIn8bit ? "8bit" : "none",
    doubleQuant: quantization.doubleQuant,
    dataPath: job.evalDataPath!,
    dataFormat: training.dataFormat,
    columnMapping: training.columnMapping,
    onBadLine: training.onBadLine,
    trainOn: training.trainOn,
    maxLength: training.maxLength,
    allowSpecialTokens: training.allowSpecialTokens,
    chatTemplatePath: training.chatTemplatePath,
    batchRows: training.evalBatchSize,
    metrics,
    limit,
    maxNewTokens,
    compareBase: values.get("compare_base") !== false,
    plugins,
    gpu: job.gpu,
    requireGpu: job.requireGpu,
    shown,
  };
}

function metricsOf(flags: ParsedFlags, issues: ConfigIssue[]): Metric[] {
  const given = textOf(flags, "metric") ?? textOf(flags, "metrics") ?? METRICS.join(",");
  const words = given.split(",").map((word) => word.trim()).filter((word) => word !== "");
  const known = METRICS.filter((metric) => words.includes(metric));
  if (known.length === 0 || words.some((word) => !(METRICS as readonly string[]).includes(word))) {
    const message = `must be of ${METRICS.join(", ")}: current value is ${JSON.stringify(given)}`;
    issues.push({ path: "--metric", message });
  }
  return known;
}

/** Null where the flag is not given. */
function wholeNumber(flags: ParsedFlags, name: string, least: number, issues: ConfigIssue[]): number | null {
  const text = textOf(flags, name);
  if (text === null) return null;
  if (/^\d{1,9}$/.test(text.trim()) && Number(text) >= least) return Number(text);
  const message = `must be a whole number of ${least} or more: current value is ${JSON.stringify(text)}`;
  issues.push({ path: `--${name.replaceAll("_", "-")}`, message });
  return null;
}
