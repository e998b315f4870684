/**
 * Flags and help of `convert`; small, so that the list of commands need not load what converts.
 *
 * @module
 */
import { TARGET_FORMATS } from "../data/convert.ts";
import { type FlagSpec, general, GENERAL_FLAGS, TRAIN_FLAGS } from "./flags.ts";
import { exitCodeTable, flagTable } from "./help.ts";
import { PLUGINS_FLAG } from "./plugin_flag.ts";

/** Options of a job that say how rows are read. */
const READING = ["data-format", "column-mapping"];

/** Flags of `convert`. */
export const CONVERT_FLAGS: readonly FlagSpec[] = [
  general("to", "What the rows become", {
    placeholder: TARGET_FORMATS.join("|"),
    section: "Data",
    defaultText: "messages",
  }),
  ...TRAIN_FLAGS.filter(({ name }) => READING.includes(name)).map((spec) => ({ ...spec, section: "Data" })),
  general("out", "JSON Lines file to write; without one, standard output", {
    placeholder: "FILE",
    short: "o",
    section: "Output",
  }),
  general("overwrite", "Replace the file if it is there", { section: "Output" }),
  general("quiet", "Only warnings and errors", { short: "q" }),
  PLUGINS_FLAG,
  ...GENERAL_FLAGS,
];

/** What `lowrank convert --help` prints. */
export function convertHelp(): string {
  return `lowrank convert: data files as JSON Lines of another format

Usage: lowrank convert DATA... [--to FORMAT] [--out FILE] [options]

${flagTable(CONVERT_FLAGS, ["Data", "Output", "General"])}

DATA is JSON Lines, a JSON array, CSV, TSV or Parquet; a pattern such as "data/*.jsonl" names
several files. Rows say the same afterwards: one that the format cannot say, such as a conversation
of many turns as prompt and completion, is an error. Where a line cannot be used, all of those are
listed, and no file is written.

Exit codes
${exitCodeTable([0, 1, 2, 3, 4])}

Examples
  lowrank convert alpaca.json --out train.jsonl
  lowrank convert train.csv --column-mapping prompt=question,completion=answer --to instruction
  lowrank convert 'sharegpt/*.jsonl' | head -1
`;
}
