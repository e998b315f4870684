/**
 * Flags of the small verbs, and how they read the one path that they are given.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { type FlagSpec, general, GENERAL_FLAGS, type ParsedFlags } from "./flags.ts";
import { exitCodeTable, flagTable, PLAIN_CODES } from "./help.ts";

const JSON_FLAG = general("json", "The same as JSON");

/** Flags of `merge`. */
export const MERGE_FLAGS: readonly FlagSpec[] = [
  general("base-model", "Folder of the base model, or a GGUF file", {
    placeholder: "PATH",
    short: "m",
    aliases: ["model"],
    section: "Model",
  }),
  general("adapter", "Folder of an adapter that was trained on it", {
    placeholder: "PATH",
    aliases: ["adapter-path"],
    section: "Model",
  }),
  general("output-dir", "Folder of the merged model, which must not hold one yet", {
    placeholder: "DIR",
    short: "o",
    aliases: ["out"],
    section: "Output",
  }),
  general("quiet", "Only warnings and errors", { short: "q" }),
  ...GENERAL_FLAGS,
];

/** Flags of `inspect`. */
export const INSPECT_FLAGS: readonly FlagSpec[] = [
  general("tensors", "List every tensor with its type and shape"),
  JSON_FLAG,
  ...GENERAL_FLAGS,
];

/** Flags of `runs`. */
export const RUNS_FLAGS: readonly FlagSpec[] = [JSON_FLAG, ...GENERAL_FLAGS];

/**
 * The one word on the command line.
 *
 * @param what Its name in the usage line.
 * @throws {ConfigError} For unknown flags, no word, or several.
 */
export function oneWord({ issues, positionals: [word, ...more] }: ParsedFlags, what: string): string {
  if (issues.length > 0) throw new ConfigError(issues);
  if (word === undefined) throw new ConfigError([{ path: what, message: "is missing" }]);
  if (more.length > 0) {
    throw new ConfigError(
      more.map((extra) => ({ path: `"${extra}"`, message: `is not expected: one ${what} is taken` })),
    );
  }
  return word.replace(/(?<=.)\/+$/, "");
}

/** What `lowrank merge --help` prints. */
export function mergeHelp(): string {
  return `lowrank merge: write a base model with an adapter worked into its weights

Usage: lowrank merge --base-model PATH --adapter PATH --output-dir DIR [options]

${flagTable(MERGE_FLAGS, ["Model", "Output", "General"])}

The merged model keeps the base's element types and loads without LoRA. Tensors are streamed: a
model larger than the memory can be merged, and no GPU is needed.

Exit codes
${exitCodeTable(PLAIN_CODES)}

Example
  lowrank merge --base-model models/smollm2 --adapter runs/ember/adapter --output-dir models/ember
`;
}

/** What `lowrank inspect --help` prints. */
export function inspectHelp(): string {
  return `lowrank inspect: what a model, a GGUF file or an adapter holds

Usage: lowrank inspect PATH [options]

${flagTable(INSPECT_FLAGS, ["General"])}

PATH is a model folder, a GGUF file or an adapter folder. Only headers are read.

Exit codes
${exitCodeTable(PLAIN_CODES)}

Examples
  lowrank inspect models/smollm2
  lowrank inspect runs/ember/adapter --tensors
`;
}

/** What `lowrank runs --help` prints. */
export function runsHelp(): string {
  return `lowrank runs: the runs in a folder, the latest first

Usage: lowrank runs [DIR] [options]

${flagTable(RUNS_FLAGS, ["General"])}

DIR holds the output folders of runs (default runs).

Exit codes
${exitCodeTable(PLAIN_CODES)}

Examples
  lowrank runs
  lowrank runs /srv/runs --json
`;
}
