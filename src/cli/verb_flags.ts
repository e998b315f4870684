/**
 * Flags of the small verbs, and how they read the one path that they are given.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { type FlagSpec, general, GENERAL_FLAGS, type ParsedFlags } from "./flags.ts";
import { exitCodeTable, flagTable, PLAIN_CODES } from "./help.ts";
import { PLUGINS_FLAG } from "./plugin_flag.ts";

const JSON_FLAG = general("json", "The same as JSON");

/** Flags of `merge`. */
export const MERGE_FLAGS: readonly FlagSpec[] = [
  general("base-model", "Folder of the base model, a GGUF file, or a name on the Hub", {
    placeholder: "MODEL",
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
  PLUGINS_FLAG,
  ...GENERAL_FLAGS,
];

/** Flags of `inspect`. */
export const INSPECT_FLAGS: readonly FlagSpec[] = [
  general("tensors", "List every tensor with its type and shape"),
  JSON_FLAG,
  PLUGINS_FLAG,
  ...GENERAL_FLAGS,
];

/** Flags of `runs`. */
export const RUNS_FLAGS: readonly FlagSpec[] = [JSON_FLAG, ...GENERAL_FLAGS];

/** Flags of `pull`. */
export const PULL_FLAGS: readonly FlagSpec[] = [
  general("json", "Name and path as JSON"),
  general("quiet", "Only warnings and errors", { short: "q" }),
  PLUGINS_FLAG,
  ...GENERAL_FLAGS,
];

/** Flags of `cache`. */
export const CACHE_FLAGS: readonly FlagSpec[] = [JSON_FLAG, ...GENERAL_FLAGS];

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

Usage: lowrank merge --base-model MODEL --adapter PATH --output-dir DIR [options]

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

Usage: lowrank inspect MODEL [options]

${flagTable(INSPECT_FLAGS, ["General"])}

MODEL is a model folder, a GGUF file, an adapter folder, or a model elsewhere, such as OWNER/NAME
on the Hub, which is downloaded. Of files only headers are read.

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

/** What `lowrank pull --help` prints. */
export function pullHelp(): string {
  return `lowrank pull: bring a model into the cache, and print where it is

Usage: lowrank pull MODEL [options]

${flagTable(PULL_FLAGS, ["General"])}

MODEL is one of
  OWNER/NAME                  on the Hub of Hugging Face; with @REVISION a branch, tag or commit
  hf://OWNER/NAME/FILE.gguf   one file of a repository of GGUF files
  gs://BUCKET/FOLDER          in a bucket; s3:// and az:// too

Only the files that a run needs are downloaded, each is verified, and a download that broke off is
gone on with. Every command that takes a base model does the same by itself.

Variables
  HF_TOKEN                    for private models, and those whose terms were accepted
  HF_HUB_OFFLINE=1            ask nobody, take what the cache holds
  HF_ENDPOINT                 another server than https://huggingface.co
  LOWRANK_CACHE_LIMIT_GB      largest size of the cache; what was used least recently makes room

Exit codes
${exitCodeTable()}

Examples
  lowrank pull HuggingFaceTB/SmolLM2-135M-Instruct
  lowrank pull gs://my-bucket/models/ember
`;
}

/** What `lowrank cache --help` prints. */
export function cacheHelp(): string {
  return `lowrank cache: what was downloaded, the latest used first

Usage: lowrank cache [options]
       lowrank cache rm NAME...

${flagTable(CACHE_FLAGS, ["General"])}

NAME is one of the list, with @ and the first letters of a revision for that one alone. What a run
uses is not removed.

Exit codes
${exitCodeTable()}

Examples
  lowrank cache
  lowrank cache rm HuggingFaceTB/SmolLM2-135M-Instruct
`;
}
