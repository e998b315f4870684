/**
 * The page's job for the command line: as a command, and as a config file.
 *
 * @module
 */
import { CONFIG_FIELDS } from "../../src/config.ts";
import { flagName } from "../../src/config/naming.ts";
import type { Wire } from "../protocol/job.ts";
import { writeOption } from "./option_text.ts";

/** Where the checkout has what the page's server has. */
const BUNDLED: Readonly<Record<string, string>> = {
  "models/lowrank-tiny": "examples/tiny/model",
  "data/signals.jsonl": "examples/tiny/signals.jsonl",
  "data/signals.eval.jsonl": "examples/tiny/signals.eval.jsonl",
};

const PATH_OPTIONS = ["base_model", "training_data_path", "eval_data_path"];

/** Options as a file for `lowrank train --config` has them: paths are those of the user's machine, as far as known. */
export function commandOptions(values: Wire): Wire {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      PATH_OPTIONS.includes(name) && typeof value === "string" ? machinePath(value) : value,
    ]),
  );
}

/** The command that runs the same job. */
export function shellCommand(values: Wire): string {
  const flags = Object.entries(commandOptions(values)).flatMap(([name, value]) => {
    const field = CONFIG_FIELDS.find(({ wireName }) => wireName === name);
    if (value === null || value === undefined) return [];
    if (field?.kind === "boolean") return [value === true ? `--${flagName(name)}` : `--no-${flagName(name)}`];
    if (field?.lines) return (value as string[]).map((line) => `--${flagName(name)} ${quoted(line)}`);
    return [`--${flagName(name)} ${quoted(writeOption(field ?? { kind: "text" }, value))}`];
  });
  return ["./lowrank train", ...flags].join(" \\\n  ");
}

/** What the browser keeps or picked goes by its own name, as it would beside the command. */
function machinePath(path: string): string {
  return BUNDLED[path] ?? path.replace(/^(device\/(models|data)|picked)\//, "");
}

/** A word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./,:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
