/**
 * The configuration of a fine-tuning job: validated once, frozen, the same from a flag, the environment, a file,
 * a REST body or a form.
 *
 * On the wire the form is flat, in snake_case with the names of PEFT, TRL and transformers:
 *
 *     { "base_model": "models/smollm2", "output_model_name": "gsm8k", "training_data_path": "train.jsonl", "lora_r": 8 }
 *
 * In TypeScript it is four groups in camelCase (`config.lora.r`). The options themselves are declared in
 * `config/declarations.ts`.
 *
 * @module
 */

import * as z from "zod/mini";
import { ConfigError, type ConfigIssue } from "./errors.ts";
import { type GroupName, groupSchemas } from "./config/declarations.ts";
import { issuesAcross } from "./config/across.ts";
import { loraScaling } from "./config/lora_kind.ts";
import {
  flatSchema,
  type PluginNames,
  QUANTIZATION_WORDS,
  schemaWith,
  WIRE_NAME_BY_ANY_NAME,
} from "./config/fields.ts";
import type { JobValues, LoraValues, QuantizationValues, TrainingValues } from "./config/groups.ts";
import { describeIssue, show } from "./config/issues.ts";
import { camelName } from "./config/naming.ts";
import { didYouMean } from "./config/nearest.ts";
import type { FineTuneJobOptions } from "./config/options.ts";

export { type PluginPart, type Section, SECTIONS } from "./config/field_types.ts";
export {
  CONFIG_FIELDS,
  type ConfigField,
  configJsonSchema,
  type PluginNames,
  QUANTIZATION_WORDS,
  type QuantizationWord,
} from "./config/fields.ts";
export type { JobValues, LoraValues, QuantizationValues, TrainingValues } from "./config/groups.ts";
export type { FineTuneJobOptions } from "./config/options.ts";

/** TRL's switches for what `train_on` says: true for answers alone, false for prompts too. */
export const TRL_LOSS_OPTIONS = ["completion_only_loss", "assistant_only_loss"] as const;

/** The original service's switch for `tracker: none`. */
export const NO_TRACKING = "no_tracking";

/** What to train on what, and where the results go. */
export interface JobConfig extends JobValues {
  /** Folder of the adapter, `<outputDir>/adapter`, or one in it where the adapter has a name. */
  readonly adapterUri: string;
  /** Folder of the merged model, `<outputDir>/merged`. */
  readonly mergedUri: string;
  /** What `gcs_bucket` and `gcs_prefix` name, such as `gs://my-bucket/team`; null without a bucket. */
  readonly bucketUri: string | null;
  /** Where the results are copied to: `output_uri`, else `models/<outputModelName>` in the bucket; null for nowhere. */
  readonly uploadUri: string | null;
}

/** The low-rank update. */
export interface LoraConfig extends LoraValues {
  /** alpha / r, or alpha / √r for `useRslora`: the factor before B·A. */
  readonly scaling: number;
}

/** How frozen base weights are stored. */
export type QuantizationConfig = QuantizationValues;

/** How long and how fast to learn. */
export interface TrainingConfig extends TrainingValues {
  /** Examples of one optimizer step: batchSize · gradientAccumulationSteps. */
  readonly effectiveBatchSize: number;
}

/** A whole job, frozen to the leaves. */
export interface FineTuneJobConfig {
  /** What to train on what, and where the results go. */
  readonly job: JobConfig;
  /** The low-rank update. */
  readonly lora: LoraConfig;
  /** How frozen base weights are stored. */
  readonly quantization: QuantizationConfig;
  /** How long and how fast to learn. */
  readonly training: TrainingConfig;
}

type Wire = Record<string, unknown>;

/** Options by wire name, and what was wrong with the names. */
export interface NormalisedOptions {
  readonly values: Readonly<Wire>;
  /** The name under which each option was given, by wire name. */
  readonly givenAs: ReadonlyMap<string, string>;
  readonly issues: readonly ConfigIssue[];
}

/**
 * Replaces aliases by wire names and `quantization` by the two options it stands for. Values are left as they are.
 * Unknown names, and an option given under two names, become issues. `$schema` is for editors, `$versions` for people: both are dropped.
 */
export function normaliseOptions(input: Readonly<Wire>): NormalisedOptions {
  const values: Wire = {};
  const issues: ConfigIssue[] = [];
  const givenAs = new Map<string, string>();
  const put = (wireName: string, name: string, value: unknown) => {
    const earlier = givenAs.get(wireName);
    if (earlier) issues.push({ path: name, message: `is given twice, also as ${earlier}: keep one of them` });
    givenAs.set(wireName, name);
    values[wireName] = value;
  };
  for (const [name, value] of Object.entries(input)) {
    const wireName = WIRE_NAME_BY_ANY_NAME.get(name);
    if (wireName) {
      put(wireName, name, value);
    } else if (name === "quantization" && (QUANTIZATION_WORDS as readonly unknown[]).includes(value)) {
      put("load_in_4bit", name, value === "4bit");
      put("load_in_8bit", name, value === "8bit");
    } else if (name === "quantization") {
      issues.push({
        path: name,
        message: `must be one of ${QUANTIZATION_WORDS.join(", ")}: current value is ${show(value)}`,
      });
    } else if ((TRL_LOSS_OPTIONS as readonly string[]).includes(name) && typeof value === "boolean") {
      put("train_on", name, value ? "completions" : "all");
    } else if (name === NO_TRACKING && typeof value === "boolean") {
      if (value) put("tracker", name, "none");
    } else if (name !== "$schema" && name !== "$versions") {
      const known = [...WIRE_NAME_BY_ANY_NAME.keys(), "quantization"];
      issues.push({ path: name, message: `is not an option${didYouMean(name, known)}` });
    }
  }
  return { values, givenAs, issues };
}

/**
 * Validates the wire form and computes what follows from it.
 *
 * @example
 * ```ts
 * import { parseFineTuneJobConfig } from "lowrank";
 *
 * const config = parseFineTuneJobConfig({
 *   base_model: "models/smollm2",
 *   output_model_name: "gsm8k",
 *   training_data_path: "train.jsonl",
 *   lora_r: 8,
 * });
 * console.log(config.lora.scaling, config.job.adapterUri); // 4 runs/gsm8k/adapter
 * ```
 * @param plugins Those whose data formats, trackers and trainers may be named; default none.
 * @throws {ConfigError} Lists every problem at once: unknown names, missing options, wrong types, values out of bounds.
 */
export function parseFineTuneJobConfig(
  input: FineTuneJobOptions,
  plugins?: readonly PluginNames[],
): FineTuneJobConfig;
/** The same for what has no type yet: a parsed file, a REST body, options under other names. */
export function parseFineTuneJobConfig(
  input: unknown,
  plugins?: readonly PluginNames[],
): FineTuneJobConfig;
export function parseFineTuneJobConfig(
  input: unknown,
  plugins: readonly PluginNames[] = [],
): FineTuneJobConfig {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new ConfigError([{
      path: "",
      message: `a configuration must be an object of options: it is ${show(input)}`,
    }]);
  }
  const { values, issues } = normaliseOptions(input as Wire);
  const parsed = z.safeParse(schemaWith(plugins), values, { error: describeIssue });
  const valueIssues = parsed.error?.issues ?? [];
  if (issues.length > 0 || !parsed.success) {
    throw new ConfigError([
      ...issues,
      ...valueIssues.map(({ path, message }) => ({ path: path.join("."), message })),
    ]);
  }
  if (parsed.data.load_in_4bit && parsed.data.load_in_8bit) {
    const message = "cannot be set beside load_in_4bit: weights are kept in one of the two";
    throw new ConfigError([{ path: "load_in_8bit", message }]);
  }
  const across = issuesAcross(parsed.data);
  if (across.length > 0) throw new ConfigError(across);
  return complete(parsed.data);
}

/** The flat wire form with every option spelt out. `parseFineTuneJobConfig(toWire(c))` equals `c`. */
export function toWire(config: FineTuneJobConfig): Record<string, unknown> {
  const wire: Wire = {};
  for (const group of Object.keys(groupSchemas) as GroupName[]) {
    const values = config[group] as unknown as Wire;
    for (const wireName of Object.keys(groupSchemas[group].shape)) {
      wire[wireName] = values[camelName(wireName, group)];
    }
  }
  return wire;
}

function complete(flat: z.output<typeof flatSchema>): FineTuneJobConfig {
  const outputDir = (flat.output_dir ?? `runs/${flat.output_model_name}`).replace(/(?<=.)\/+$/, "");
  const training_data_path = oneOrMore(flat.training_data_path);
  const eval_data_path = flat.eval_data_path === null ? null : oneOrMore(flat.eval_data_path);
  const gcs_prefix = flat.gcs_prefix?.replace(/^\/+|\/+$/g, "") || null;
  const bucketUri = flat.gcs_bucket && `gs://${flat.gcs_bucket}${gcs_prefix ? `/${gcs_prefix}` : ""}`;
  const uploadUri = flat.output_uri ?? (bucketUri && `${bucketUri}/models/${flat.output_model_name}`);
  const scaling = loraScaling({
    rank: flat.lora_r,
    alpha: flat.lora_alpha,
    useRslora: flat.use_rslora,
  });
  return freezeAll({
    job: {
      ...pickGroup({ ...flat, training_data_path, eval_data_path, output_dir: outputDir, gcs_prefix }, "job"),
      adapterUri: `${outputDir}/adapter${flat.adapter_name === "default" ? "" : `/${flat.adapter_name}`}`,
      mergedUri: `${outputDir}/merged`,
      bucketUri,
      uploadUri: uploadUri && uploadUri.replace(/\/+$/, ""),
    } as unknown as JobConfig,
    lora: { ...pickGroup(flat, "lora"), scaling } as unknown as LoraConfig,
    quantization: pickGroup(flat, "quantization") as unknown as QuantizationConfig,
    training: {
      ...pickGroup(flat, "training"),
      effectiveBatchSize: flat.batch_size * flat.gradient_accumulation_steps,
    } as unknown as TrainingConfig,
  });
}

/** A list of one path is that path: a flag gives the one, a file the other. */
function oneOrMore(paths: string | string[]): string | string[] {
  return Array.isArray(paths) && paths.length === 1 ? paths[0]! : paths;
}

function pickGroup(flat: Readonly<Wire>, group: GroupName): Wire {
  return Object.fromEntries(
    Object.keys(groupSchemas[group].shape).map((wireName) => [camelName(wireName, group), flat[wireName]]),
  );
}

function freezeAll<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(freezeAll);
  return Object.freeze(value);
}
