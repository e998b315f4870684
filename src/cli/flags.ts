/**
 * Flags of the command line: the table of `train`, made from the configuration's declarations, and the parser.
 *
 * @module
 */

import { parseArgs } from "node:util";
import {
  CONFIG_FIELDS,
  type ConfigField,
  NO_TRACKING,
  QUANTIZATION_WORDS,
  TRL_LOSS_OPTIONS,
} from "../config.ts";
import { flagName } from "../config/naming.ts";
import { didYouMean } from "../config/nearest.ts";
import type { ConfigIssue } from "../errors.ts";
import { LOG_FORMATS, LOG_LEVELS } from "./log_setting.ts";
import { COLOR_WORDS } from "./paint.ts";

/** One flag. Names are in kebab-case without dashes. */
export interface FlagSpec {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly short?: string;
  /** Word for the value in `--help`; null for a switch (`--x`, `--no-x`). */
  readonly placeholder: string | null;
  readonly help: string;
  /** Heading under which `--help` lists it. */
  readonly section: string;
  readonly defaultText?: string;
  /** Whether it may be given several times, each adding to a list. */
  readonly repeats?: boolean;
  /** Whether those are texts, each on a line of its own. */
  readonly lines?: boolean;
}

/** Given flags under the name they were given, in snake_case; and what was wrong with them. */
export interface ParsedFlags {
  readonly values: ReadonlyMap<string, string | boolean>;
  readonly positionals: readonly string[];
  readonly issues: readonly ConfigIssue[];
}

/** More words than fit here are told in the help. */
const LONGEST_PLACEHOLDER = 56;

function helpOf({ help, kind, choices }: ConfigField): string {
  const isTold = kind === "boolean" || choices.join("|").length <= LONGEST_PLACEHOLDER;
  return isTold ? help : `${help}: ${choices.join(", ")}`;
}

function placeholderOf({ kind, placeholder, choices }: ConfigField): string | null {
  if (kind === "boolean") return null;
  const words = choices.join("|");
  if (choices.length > 0) return words.length <= LONGEST_PLACEHOLDER ? words : "NAME";
  return placeholder ?? (kind === "number" ? "N" : "TEXT");
}

function defaultOf(field: ConfigField): string | undefined {
  if (field.defaultText) return field.defaultText;
  if (field.default === undefined || field.default === null || field.default === false) return undefined;
  return typeof field.default === "object" ? undefined : String(field.default);
}

function flagOf(field: ConfigField): FlagSpec {
  const defaultText = defaultOf(field);
  return {
    name: flagName(field.wireName),
    aliases: (field.aliases ?? []).map(flagName),
    placeholder: placeholderOf(field),
    help: helpOf(field),
    section: field.section,
    ...(field.repeats ? { repeats: true } : {}),
    ...(field.lines ? { lines: true } : {}),
    ...(defaultText === undefined ? {} : { defaultText }),
  };
}

const quantizationFlag: FlagSpec = {
  name: "quantization",
  aliases: [],
  placeholder: QUANTIZATION_WORDS.join("|"),
  help: "How linear maps of the base model are kept: as they are, or quantised to NF4 or int8",
  section: "Quantization",
  defaultText: "none",
};

/** A switch under the heading General, unless `more` says otherwise. */
export const general = (name: string, help: string, more: Partial<FlagSpec> = {}): FlagSpec => ({
  name,
  help,
  aliases: [],
  placeholder: null,
  section: "General",
  ...more,
});

/** Flags that every verb understands. */
export const GENERAL_FLAGS: readonly FlagSpec[] = [
  general("verbose", "Log what happens, as --log-level info does", { short: "v" }),
  general("log-level", "What is logged to standard error", {
    placeholder: LOG_LEVELS.join("|"),
    defaultText: "off",
  }),
  general("log-format", "How log lines look", { placeholder: LOG_FORMATS.join("|"), defaultText: "text" }),
  general("color", "Colours of the terminal", { placeholder: COLOR_WORDS.join("|"), defaultText: "auto" }),
  general("help", "Show this text", { short: "h" }),
];

/** Flags of `train`. */
export const TRAIN_FLAGS: readonly FlagSpec[] = [
  general("config", "Read options from a file (yaml, toml, json)", {
    short: "c",
    placeholder: "FILE",
    section: "Job",
  }),
  ...CONFIG_FIELDS.map(flagOf),
  quantizationFlag,
  ...TRL_LOSS_OPTIONS.map((name) =>
    general(flagName(name), "TRL's name for --train-on completions; --no- for --train-on all", {
      section: "Data",
    })
  ),
  general(flagName(NO_TRACKING), "Record nothing, as --tracker none", { section: "Tracking" }),
  general("dry-run", "Check everything, count, plan memory and time; train nothing"),
  general("print-config", "Show every option and where its value comes from"),
  general("ranks", "Processes that share the steps, each with a GPU of its own, through Open MPI", {
    placeholder: "N",
    defaultText: "1",
  }),
  general("json", "One JSON event a line on standard output, all else on standard error"),
  general("quiet", "Only warnings and errors", { short: "q" }),
  ...GENERAL_FLAGS,
];

/** `--lora_r=8` -> `--lora-r=8`, since both spellings are in use; values are left alone. */
function withDashes(argument: string): string {
  return argument.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-"));
}

/** Reads flags and positional arguments; lists every unknown flag and missing value. */
export function parseFlags(args: readonly string[], specs: readonly FlagSpec[]): ParsedFlags {
  const specByName = new Map(
    specs.flatMap((spec) => [spec.name, ...spec.aliases].map((name) => [name, spec])),
  );
  const options = Object.fromEntries([...specByName].map(([name, spec]) => [name, {
    type: spec.placeholder === null ? "boolean" as const : "string" as const,
    ...(spec.short && name === spec.name ? { short: spec.short } : {}),
  }]));
  const { tokens } = parseArgs({
    args: args.map(withDashes),
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | boolean>();
  const positionals: string[] = [];
  const issues: ConfigIssue[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const negated = !specByName.has(token.name) && token.name.startsWith("no-");
    const name = negated ? token.name.slice(3) : token.name;
    const result = readValue(specByName.get(name), token.value, token.inlineValue === true, negated);
    if (typeof result === "object") {
      issues.push({
        path: token.rawName,
        message: result.problem || unknownFlag(token.name, specByName.keys()),
      });
    } else {
      const key = name.replaceAll("-", "_"), before = values.get(key);
      const { repeats = false, lines = false } = specByName.get(name)!;
      values.set(key, repeats && before !== undefined ? `${before}${lines ? "\n" : ","}${result}` : result);
    }
  }
  return { values, positionals, issues };
}

function unknownFlag(name: string, known: Iterable<string>): string {
  return `is not a flag${didYouMean(name, known).replace(/"(.+)"/, '"--$1"')}`;
}

function readValue(
  spec: FlagSpec | undefined,
  value: string | undefined,
  isInline: boolean,
  negated: boolean,
): string | boolean | { problem: string } {
  if (!spec || (negated && spec.placeholder !== null)) return { problem: "" };
  if (spec.placeholder === null) {
    if (value === undefined) return !negated;
    if (value === "true" || value === "false") return (value === "true") !== negated;
    return { problem: `must be true or false: current value is "${value}"` };
  }
  // `--base-model --overwrite` is a forgotten value; a name that does start with dashes is given by `=`.
  if (value === undefined || (!isInline && value.startsWith("--"))) {
    return { problem: `needs a value: ${spec.placeholder}` };
  }
  return value;
}
