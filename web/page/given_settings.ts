/**
 * Settings that come from elsewhere: out of a link, or out of a config file of the command line.
 *
 * A link holds what may be told to anybody: no model, data, prompts or names, and nothing of this machine.
 *
 * @module
 */
import { CONFIG_FIELDS, type ConfigField, normaliseOptions } from "../../src/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { HIDDEN_OPTIONS } from "../presets.ts";
import type { Wire } from "../protocol/job.ts";
import { readOption, writeOption } from "./option_text.ts";

/** Settings that a link may hold, by wire name. */
const LINKED: ReadonlyMap<string, ConfigField> = new Map(
  CONFIG_FIELDS.filter(({ wireName, section }) =>
    section !== "Device" && !["column_mapping", "system_message"].includes(wireName) &&
    (!HIDDEN_OPTIONS.has(wireName) || ["load_in_4bit", "load_in_8bit"].includes(wireName))
  ).map((field) => [field.wireName, field]),
);

/** What a config file may set beside those. */
const FROM_FILES: ReadonlySet<string> = new Set([
  ...LINKED.keys(),
  ...["output_model_name", "sample_prompts", "column_mapping"],
]);

/** What was found, as options; undefined sets one to its default. */
export interface GivenSettings {
  readonly options: Wire;
  /** In a sentence, what was taken and what was not. */
  readonly told: string;
}

/** The part of an address after its `?`: settings that are not as the page's own job has them. */
export function settingsQuery(values: Wire, own: Wire): string {
  const plain = normaliseOptions(values).values, former = normaliseOptions(own).values;
  const query = new URLSearchParams();
  for (const [name, field] of LINKED) {
    const [value, before] = [plain[name] ?? field.default, former[name] ?? field.default];
    if (JSON.stringify(value) === JSON.stringify(before)) continue;
    query.set(name, JSON.stringify(value) === JSON.stringify(field.default) ? "" : writeOption(field, value));
  }
  return String(query);
}

/**
 * Takes settings back out of an address: those that it does not name are as the page's own job has them. What is none, or
 * none of a link's, is left alone.
 */
export function linkedSettings(query: string, own: Wire): GivenSettings {
  const found: Record<string, unknown> = {}, others: string[] = [];
  for (const [name, text] of new URLSearchParams(query)) {
    const field = LINKED.get(name);
    if (field) found[name] = optionOf(field, text);
    else others.push(name);
  }
  const former = normaliseOptions(own).values;
  return {
    options: { ...settingsOf((name) => former[name]), ...found },
    told: toldOf(Object.keys(found).length, "the link", others),
  };
}

/** Every setting of a link, and none under another name. */
function settingsOf(value: (name: string) => unknown): Wire {
  return Object.fromEntries([
    ["quantization", undefined],
    ...[...LINKED.keys()].map((name) => [name, value(name)]),
  ]);
}

function optionOf(field: ConfigField, text: string): unknown {
  if (field.kind !== "boolean" || text === "") return readOption(field, text);
  return text === "true" ? true : text === "false" ? false : text; // which the declarations then refuse
}

/**
 * Settings of a config file as `lowrank train --config` reads it, YAML or JSON. All that it does not name stands at its
 * default then; model and data of the page stay.
 *
 * @throws {ConfigError} If it cannot be read, or holds what is no option.
 */
export async function settingsIn(name: string, text: string): Promise<GivenSettings> {
  const { values, issues } = normaliseOptions(await parsed(name, text));
  if (issues.length > 0) throw new ConfigError(issues);
  const found = Object.entries(values).filter(([option]) => FROM_FILES.has(option));
  const others = Object.keys(values).filter((option) => !FROM_FILES.has(option));
  const defaults = { ...settingsOf(() => undefined), sample_prompts: undefined, column_mapping: undefined };
  return {
    options: { ...defaults, ...Object.fromEntries(found) },
    told: toldOf(found.length, name, others),
  };
}

/** Whether a file of this name may hold settings and no data. */
export function isConfigName(name: string): boolean {
  return /\.ya?ml$/i.test(name);
}

async function parsed(name: string, text: string): Promise<Wire> {
  const refuse = (message: string) => new ConfigError([{ path: name, message }]);
  const isYaml = isConfigName(name);
  if (!isYaml && !/\.json$/i.test(name)) {
    throw refuse("must end in .yaml, .yml or .json to be read as settings");
  }
  let content: unknown;
  try {
    content = isYaml ? (await import("js-yaml")).load(text) : JSON.parse(text);
  } catch (error) {
    throw refuse(`is not valid ${isYaml ? "YAML" : "JSON"}: ${(error as Error).message.split("\n")[0]}`);
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw refuse('must hold options such as "lora_r", one a line');
  }
  return content as Wire;
}

function toldOf(count: number, source: string, others: readonly string[]): string {
  const taken = `${count === 0 ? "No" : count} setting${
    count === 1 ? " was" : "s were"
  } taken from ${source}.`;
  return others.length === 0 ? taken : `${taken} Left as they are here: ${others.join(", ")}.`;
}
