/**
 * Where each option comes from: flag before environment before file before default.
 *
 * @module
 */

import {
  CONFIG_FIELDS,
  type ConfigField,
  type FineTuneJobConfig,
  normaliseOptions,
  parseFineTuneJobConfig,
} from "../config.ts";
import { flagName } from "../config/naming.ts";
import { nearest } from "../config/nearest.ts";
import { ConfigError, type ConfigIssue } from "../errors.ts";
import type { Plugin } from "../plugin.ts";

/** A configuration and, by wire name, the place each given value came from. Absent: the default. */
export interface ResolvedConfig {
  readonly config: FineTuneJobConfig;
  readonly origins: ReadonlyMap<string, string>;
  /** Those that the configuration names, loaded. */
  readonly plugins: readonly Plugin[];
  /** Whether the bundled example runs, since no job was given. */
  readonly isExample: boolean;
}

/** Options from one place; `label` names one of them for messages. */
interface Layer {
  readonly options: Readonly<Record<string, unknown>>;
  readonly label: (name: string) => string;
}

/** Options from every place. Flags are named in snake_case. */
export interface Sources {
  readonly flags: Readonly<Record<string, string | boolean>>;
  readonly env: Readonly<Record<string, string>>;
  readonly file?: { readonly path: string; readonly options: Readonly<Record<string, unknown>> };
  /** Used below all others where none of {@link EXAMPLE_REPLACES} is given: a job that needs nothing. */
  readonly example?: Readonly<Record<string, unknown>> | undefined;
}

/** Loads plugins from files. */
export type LoadPlugins = (paths: readonly string[]) => Promise<readonly Plugin[]>;

/**
 * As {@link resolveConfig}, with the plugins that the sources name loaded before anything is validated, since they bring
 * words that options may have.
 *
 * @throws {ConfigError} For plugins that cannot be loaded, too.
 */
export async function resolveWithPlugins(
  sources: Sources,
  load: LoadPlugins | undefined,
): Promise<ResolvedConfig> {
  return resolveConfig(sources, await loadNamedPlugins(sources, load));
}

/** The plugins that the sources name, loaded. @throws {ConfigError} If one cannot be. */
export async function loadNamedPlugins(
  sources: Sources,
  load: LoadPlugins | undefined,
): Promise<readonly Plugin[]> {
  const named = layersOf(sources).map(({ options }) => normaliseOptions(options).values.plugins);
  const paths = named.findLast((value) => value !== undefined) ?? [];
  // what is no list of names is told by validation, with all else that is wrong
  const isList = Array.isArray(paths) && paths.every((path) => typeof path === "string" && path !== "");
  return isList && load ? await load(paths) : [];
}

/** Options that every job must give. Without any of them the bundled example is meant. */
const EXAMPLE_REPLACES = ["base_model", "training_data_path", "output_model_name"];

/** What tells a list of module names from a regular expression: no sign but those of names and paths. */
const LIST_OF_NAMES = /^[\w.,\s-]*$/;

const ENV_PREFIX = "LOWRANK_";

const fieldByName = new Map<string, ConfigField>(
  CONFIG_FIELDS.flatMap((field) => [field.wireName, ...field.aliases ?? []].map((name) => [name, field])),
);
const optionByVariable = new Map(
  [...CONFIG_FIELDS.map(({ wireName }) => wireName), "quantization"].map((
    name,
  ) => [ENV_PREFIX + name.toUpperCase(), name]),
);

/**
 * Text from a flag or variable as a value of the option's type. What does not read as that type stays text, so that
 * validation can say what is wrong with it.
 */
export function fromText(name: string, text: string | boolean): unknown {
  const field = fieldByName.get(name);
  if (typeof text === "boolean" || !field) return text;
  if (text === "" && field.nullable) return null;
  switch (field.kind) {
    case "number":
      return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
    case "boolean":
      if (/^(true|1|yes|on)$/i.test(text)) return true;
      return /^(false|0|no|off)$/i.test(text) ? false : text;
    case "list":
      if (field.lines) return text.split("\n").filter((line) => line.trim() !== "");
      if (text === field.default || (field.expression && !LIST_OF_NAMES.test(text))) return text;
      return listFromText(text);
    case "numbers":
      return listFromText(text).map((part) => Number.isNaN(Number(part)) ? part : Number(part));
    case "word":
      return wordFromText(text);
    case "pairs":
      return pairsFromText(text);
    case "text":
      return text;
  }
}

function listFromText(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter(Boolean);
}

/** `a=1,b=true,c=word`; a part without `=` leaves all of it text. */
function pairsFromText(text: string): unknown {
  const pairs = text.split(",").filter((part) => part.trim() !== "").map((part) => part.split("=", 2));
  if (pairs.some(([, value]) => value === undefined)) return text;
  return Object.fromEntries(pairs.map(([name, value]) => [name!.trim(), wordFromText(value!.trim())]));
}

function wordFromText(text: string): number | boolean | string {
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

/** Warnings for `LOWRANK_` variables that look like misspelt options. */
export function suspectVariables(env: Readonly<Record<string, string>>): string[] {
  const known = new Map([...optionByVariable.keys()].map((name) => [name.slice(ENV_PREFIX.length), name]));
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith(ENV_PREFIX) || optionByVariable.has(name)) return [];
    const close = nearest(name.slice(ENV_PREFIX.length), known.keys());
    return close === null
      ? []
      : [`environment variable ${name} is not an option: did you mean "${known.get(close)}"?`];
  });
}

function layersOf({ flags, env, file }: Sources): Layer[] {
  const fromEntries = (entries: [string, string | boolean][]) =>
    Object.fromEntries(entries.map(([name, text]) => [name, fromText(name, text)]));
  const variables = [...optionByVariable].flatMap(([variable, name]): [string, string][] =>
    env[variable] === undefined ? [] : [[name, env[variable]]]
  );
  return [
    ...(file ? [{ options: file.options, label: (name: string) => `${file.path}: ${name}` }] : []),
    { options: fromEntries(variables), label: (name) => ENV_PREFIX + name.toUpperCase() },
    { options: fromEntries(Object.entries(flags)), label: (name) => `--${flagName(name)}` },
  ];
}

/**
 * Merges the sources and validates the result.
 *
 * @param plugins Those that are loaded; default none.
 * @throws {ConfigError} Each issue's path names the flag, variable or file entry that is to blame; a missing option
 * is named by its flag.
 */
export function resolveConfig(sources: Sources, plugins: readonly Plugin[] = []): ResolvedConfig {
  const values: Record<string, unknown> = {};
  const origins = new Map<string, string>();
  const issues: ConfigIssue[] = [];
  const layers = layersOf(sources);
  const given = new Set(layers.flatMap(({ options }) => Object.keys(normaliseOptions(options).values)));
  const isExample = sources.example !== undefined && EXAMPLE_REPLACES.every((name) => !given.has(name));
  if (isExample) {
    layers.unshift({ options: sources.example!, label: (name) => `bundled example: ${name}` });
  }
  for (const { options, label } of layers) {
    const layer = normaliseOptions(options);
    Object.assign(values, layer.values);
    for (const [wireName, name] of layer.givenAs) origins.set(wireName, label(name));
    for (const { path, message } of layer.issues) issues.push({ path: label(path), message });
  }
  try {
    const config = parseFineTuneJobConfig(values, plugins);
    if (issues.length === 0) return { config, origins, plugins, isExample };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues.map(({ path, message }) => ({
      path: origins.get(path) ?? `--${flagName(path)}`,
      message,
    })));
  }
  throw new ConfigError(issues);
}
