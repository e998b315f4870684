/**
 * Options of a run that a request may set: those of LoRA, quantisation and training, from the one declaration of all options.
 * None that names a path or loads code is among them.
 *
 * @module
 */
import {
  CONFIG_FIELDS,
  configJsonSchema,
  type FineTuneJobConfig,
  parseFineTuneJobConfig,
  QUANTIZATION_WORDS,
  type QuantizationWord,
} from "../src/config.ts";
import { didYouMean } from "../src/config/nearest.ts";
import { ConfigError, type ConfigIssue } from "../src/errors.ts";

/** Of the group of the job itself, whose other options are the server's to set. */
const OF_JOB = new Set([
  "save",
  "merge_base",
  "save_steps",
  "save_minutes",
  "save_total_limit",
  "max_device_recoveries",
  "memory_limit_gb",
]);
const NOT_FOR_CLIENTS = /path|_dir|_uri|bucket|plugin|trainer|python|command|report_to/;

const ALLOWED = CONFIG_FIELDS.filter(({ wireName, group, placeholder }) =>
  group === "job" ? OF_JOB.has(wireName) : !NOT_FOR_CLIENTS.test(wireName) && placeholder !== "PATH"
);

/** Wire names of the options, in the order of their declarations. */
export const JOB_OPTIONS: readonly string[] = [...ALLOWED.map(({ wireName }) => wireName), "quantization"];

/** Every name that an option answers to. */
const NAMES = new Set([
  ...ALLOWED.flatMap(({ wireName, aliases }) => [wireName, ...aliases ?? []]),
  "quantization",
]);

/** OpenAI's three, which every trainer has. */
const OPENAI_NAMES = ["n_epochs", "batch_size", "learning_rate_multiplier"];

/** Before the name of an option in `metadata`: for clients whose types know no other hyperparameters. */
export const METADATA_PREFIX = "lowrank.";

/** JSON Schema of the options, by name. */
export function optionSchemas(): Record<string, object> {
  const { properties } = configJsonSchema() as { properties: Record<string, object> };
  return Object.fromEntries(
    JOB_OPTIONS.map((name) => [name, properties[name] ?? { enum: QUANTIZATION_WORDS }]),
  );
}

/**
 * Options of a run, by wire name, for what a request says.
 *
 * @param hyperparameters OpenAI's and the options; `auto` is as if it were absent.
 * @param metadata Of which entries whose names begin with {@link METADATA_PREFIX} are options as text.
 * @throws {ConfigError} With everything that is wrong; paths are names of hyperparameters or `metadata.NAME`.
 */
export function optionsFrom(
  hyperparameters: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, string>> | null,
): Record<string, unknown> {
  const issues: ConfigIssue[] = [], options: Record<string, unknown> = {};
  const put = (name: string, value: unknown, path: string) => {
    if (NAMES.has(name)) options[name] = value;
    else issues.push({ path, message: `is not an option${didYouMean(name, [...NAMES, ...OPENAI_NAMES])}` });
  };
  for (const [name, value] of Object.entries(hyperparameters)) {
    if (value === "auto" && (OPENAI_NAMES.includes(name) || NAMES.has(name))) continue;
    if (name === "n_epochs") options.num_train_epochs = value;
    else if (name === "learning_rate_multiplier") {
      const isFactor = typeof value === "number" && value > 0 && value <= 1e4;
      if (isFactor) options.learning_rate = DEFAULT_LEARNING_RATE * value;
      else issues.push({ path: name, message: "must be auto or a number above 0, at most 10000" });
    } else put(name, value, name);
  }
  for (const [key, text] of Object.entries(metadata ?? {})) {
    if (key.startsWith(METADATA_PREFIX)) {
      put(key.slice(METADATA_PREFIX.length), valueOf(text), `metadata.${key}`);
    }
  }
  try {
    runConfig(options, PLACES);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues);
  }
  if (issues.length > 0) throw new ConfigError(issues);
  return options;
}

/** Where a run finds and leaves its files. */
export interface RunPlaces {
  readonly baseModel: string;
  readonly adapterPath: string | null;
  readonly trainingData: string;
  readonly evalData: string | null;
  readonly outputDir: string;
  readonly outputModelName: string;
}

/** Stands for places where only the options are looked at. */
const PLACES: RunPlaces = {
  baseModel: "model",
  adapterPath: null,
  trainingData: "data",
  evalData: null,
  outputDir: "run",
  outputModelName: "model",
};

/** The configuration of a run. It goes on from a checkpoint where there is one. @throws {ConfigError} */
export function runConfig(options: Readonly<Record<string, unknown>>, places: RunPlaces): FineTuneJobConfig {
  return parseFineTuneJobConfig({
    ...options,
    base_model: places.baseModel,
    adapter_path: places.adapterPath,
    training_data_path: places.trainingData,
    eval_data_path: places.evalData,
    output_dir: places.outputDir,
    output_model_name: places.outputModelName,
    resume: "auto",
  });
}

/** How a run with these options trains. @throws {ConfigError} */
export function trainingOf(options: Readonly<Record<string, unknown>>): FineTuneJobConfig["training"] {
  return runConfig(options, PLACES).training;
}

/** How a run with these options keeps its base: as the adapter's answers want it too. */
export function quantizationOf(options: Readonly<Record<string, unknown>>): BaseKeeping {
  const { loadIn4bit, loadIn8bit, doubleQuant } = runConfig(options, PLACES).quantization;
  return { quantization: loadIn4bit ? "4bit" : loadIn8bit ? "8bit" : "none", doubleQuant };
}

/** How a base is kept in memory. */
export interface BaseKeeping {
  readonly quantization: QuantizationWord;
  readonly doubleQuant: boolean;
}

/** What a multiplier of OpenAI's multiplies. */
export const DEFAULT_LEARNING_RATE = Number(
  CONFIG_FIELDS.find(({ wireName }) => wireName === "learning_rate")!.default,
);

/** The value that a text of metadata stands for: JSON where it is some, else the text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
