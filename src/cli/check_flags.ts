/**
 * Flags and help of `check`; small, so that the list of commands need not load what checks.
 *
 * @module
 */
import { type FlagSpec, GENERAL_FLAGS, TRAIN_FLAGS } from "./flags.ts";
import { exitCodeTable, flagTable } from "./help.ts";
import { PLUGINS_FLAG } from "./plugin_flag.ts";

/** Options of a job that decide what becomes of its data. */
const DATA_OPTIONS = [
  "eval-data-path",
  "train-test-split",
  "seed",
  "data-format",
  "column-mapping",
  "on-bad-line",
  "train-on",
  "max-length",
  "packing",
  "allow-special-tokens",
  "chat-template-path",
];

const flag = (
  name: string,
  placeholder: string | null,
  help: string,
  more: Partial<FlagSpec> = {},
): FlagSpec => {
  return { name, placeholder, help, aliases: [], section: "General", ...more };
};

/** Flags of `check` that are no options of a job. */
export const OWN_FLAGS: readonly FlagSpec[] = [
  flag(
    "base-model",
    "PATH",
    "Model whose tokenizer and chat template make tokens of the rows; none are counted without",
    {
      section: "Data",
      aliases: ["model"],
    },
  ),
  flag("rows", "N", "Rows to show as they are trained", { defaultText: "2" }),
  flag("json", null, "The counts as JSON on standard output"),
  ...GENERAL_FLAGS,
];

/** Flags of `check`. */
export const CHECK_FLAGS: readonly FlagSpec[] = [
  ...OWN_FLAGS.slice(0, 1),
  ...DATA_OPTIONS.flatMap((name) => TRAIN_FLAGS.filter((spec) => spec.name === name))
    .map((spec) => ({ ...spec, section: "Data" })),
  PLUGINS_FLAG,
  ...OWN_FLAGS.slice(1),
];

/** What `lowrank check --help` prints. */
export function checkHelp(): string {
  return `lowrank check: what training would make of data files

Usage: lowrank check DATA... [--base-model MODEL] [options]

${flagTable(CHECK_FLAGS, ["Data", "General"])}

DATA is JSON Lines, a JSON array, CSV or Parquet; a pattern such as "data/*.jsonl" names several
files. Every row is read once, and nothing is kept: a file may be larger than the memory. Options
of a job that decide what becomes of its data are taken as train takes them, from flags and
LOWRANK_ variables.

Exit codes
${exitCodeTable([0, 1, 2, 3, 4])}

Examples
  lowrank check train.jsonl
  lowrank check train.csv --column-mapping prompt=question,completion=answer
  lowrank check train.jsonl --eval-data-path eval.jsonl --base-model models/smollm2 --json
`;
}
