/**
 * Help texts, made from the tables of flags and exit codes.
 *
 * @module
 */

import { SECTIONS } from "../config.ts";
import { EXIT_CODES, type ExitCode } from "./exit_codes.ts";
import type { FlagSpec } from "./flags.ts";
import { CHAT_FLAGS, GENERATE_FLAGS, GENERATE_SECTIONS } from "./generate_flags.ts";

const WIDTH = 100;
const INDENT = 34;

/** Breaks text at spaces so that no line is longer than `width`; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}

function row(left: string, right: string): string {
  const [first, ...rest] = wrap(right, WIDTH - INDENT);
  const head = left.length + 2 <= INDENT
    ? [left.padEnd(INDENT) + first!]
    : [left, " ".repeat(INDENT) + first!];
  return [...head, ...rest.map((line) => " ".repeat(INDENT) + line)].join("\n");
}

function flagRow({ name, short, placeholder, help, defaultText, aliases }: FlagSpec): string {
  const left = `  ${short ? `-${short}, ` : ""}--${name}${placeholder === null ? "" : ` ${placeholder}`}`;
  const also = aliases.length === 0 ? "" : ` [also ${aliases.map((alias) => `--${alias}`).join(", ")}]`;
  return row(left, `${help}${defaultText === undefined ? "" : ` (default ${defaultText})`}${also}`);
}

/** What `lowrank help` prints. The first words of lines that begin with two spaces are the verbs. */
export function mainHelp(): string {
  return `lowrank: fine-tune language models with LoRA through WebGPU

Usage: lowrank <command> [options]

Train
  train                     Fine-tune a model
  resume RUN                Go on with a run from its last checkpoint
  runs [DIR]                List runs and how they went
  explain RUN               Show where the time and memory of a run go, as one HTML page

Use
  generate                  Continue a prompt, or many
  chat                      Talk to a model
  eval                      Measure loss and exact answers of a model, before and after training
  merge                     Write a base model with an adapter worked into its weights
  export FORMAT MODEL       Write a model for another program: llama.cpp, Ollama, transformers.js

Data and models
  check DATA...             Count what training would make of data files, and list bad lines
  convert DATA...           Write data files as JSON Lines of another format
  inspect MODEL             Show what a model, a GGUF file or an adapter holds
  models                    List the models that can be fine-tuned
  pull MODEL                Bring a model of the Hub or a bucket into the cache
  cache                     List what was downloaded, or remove it

Server
  serve                     Answer OpenAI's fine-tuning API
  token create|list|revoke  Make, list and end keys for it

Other
  doctor                    Show what this machine computes on, and what to install
  bench                     Measure products, steps, memory and start-up of its adapter
  config init               Print a configuration file with every option, to fill in
  config schema             Print the JSON Schema of a configuration file
  config validate FILE      Check a configuration file
  completion SHELL          Print a completion script for bash, zsh or fish
  help [COMMAND]            Show this text, or that of a command
  version                   Show the version

"lowrank COMMAND --help" lists the options of a command.

Environment
  LOWRANK_BASE_MODEL, ...   Options of a job, in capitals: "lowrank train --help" lists them
  LOWRANK_DEBUG=1           Errors with their stack traces
  NO_COLOR, FORCE_COLOR     Colours of the terminal, where --color does not say

Exit codes
${exitCodeTable()}
`;
}

/** Flags under these headings, in this order. */
export function flagTable(flags: readonly FlagSpec[], headings: readonly string[]): string {
  return headings
    .map((section) => [section, ...flags.filter((flag) => flag.section === section).map(flagRow)])
    .filter((rows) => rows.length > 1)
    .map((rows) => rows.join("\n")).join("\n\n");
}

/** Exit codes and what they say: all, or those that a verb can end with. */
export function exitCodeTable(codes?: readonly ExitCode[]): string {
  const rows = EXIT_CODES.filter(({ code }) => codes === undefined || codes.includes(code));
  return rows.map(({ code, meaning }) => `  ${String(code).padEnd(4)} ${meaning}`).join("\n");
}

/** Codes of verbs that neither compute nor read data. */
export const PLAIN_CODES: readonly ExitCode[] = [0, 1, 2, 4];

/** What `lowrank train --help` prints. */
export function trainHelp(flags: readonly FlagSpec[]): string {
  return `lowrank train: fine-tune a model

Usage: lowrank train --base-model MODEL --output-model-name NAME --training-data-path PATH [options]
       lowrank train --config FILE [options]
       lowrank train              the bundled example, to see how it goes

${flagTable(flags, [...SECTIONS, "General"])}

Files and environment
  A file holds the same options in snake_case, one level deep: base_model, lora_r, ...
  A variable is LOWRANK_ and the option in capitals: LOWRANK_LEARNING_RATE=1e-4.
  A flag wins over a variable, a variable over the file, the file over the default.
  Paths are relative to the current folder. An empty value of a PATH option means none.
  NO_COLOR and FORCE_COLOR are respected; LOWRANK_DEBUG=1 adds stack traces to errors.
  LOWRANK_LOG_LEVEL and LOWRANK_LOG_FORMAT stand for flags; OTEL_DENO=true exports telemetry.

Exit codes
${exitCodeTable()}

Examples
  lowrank train --base-model models/smollm2 --output-model-name ember --data train.jsonl
  lowrank train -c ember.yaml --epochs 1 --lr 1e-4 --dry-run
  lowrank train -c ember.yaml --plugin examples/plugins/flan.ts --data flan.jsonl
  LOWRANK_REQUIRE_GPU=true lowrank train -c ember.yaml --print-config
`;
}

/** What `lowrank resume --help` prints. */
export function resumeHelp(): string {
  return `lowrank resume: go on with a run from its last checkpoint

Usage: lowrank resume RUN [options of train]

RUN is the output folder of a run, or the place in a bucket that its results go to (gs://, s3://,
az://): its checkpoints were copied there, and are brought to this machine. The run goes on with the
options that it was started with, as run.json holds them, and the result is bit for bit that of one
that was never interrupted. Flags of train overrule options that leave it so, such as --save-steps;
--num-train-epochs and --max-steps where the learning rate is constant, whatever the length.

Exit codes
${exitCodeTable()}

Examples
  lowrank resume runs/ember
  lowrank resume runs/ember --save-steps 50
  lowrank resume gs://my-bucket/models/ember
`;
}

/** What `lowrank generate --help` prints. */
export function generateHelp(): string {
  return `lowrank generate: continue a prompt, or many

Usage: lowrank generate --model MODEL [--adapter PATH] --prompt TEXT [options]
       lowrank generate --model MODEL [--adapter PATH] --prompt-file FILE [options]
       lowrank generate --model MODEL [--adapter PATH] < FILE

${flagTable(GENERATE_FLAGS, GENERATE_SECTIONS)}

Prompts
  A row of a .jsonl file is a string, {"prompt": "..."}, {"text": "..."} or {"messages": [...]}.
  Messages go through the chat template; an answer at their end is left to the model.
  Many prompts are continued side by side; their answers come in the order of the file.

Exit codes
${exitCodeTable()}

Examples
  lowrank generate --model models/smollm2 --prompt "Once upon a time"
  lowrank generate --model models/smollm2 --adapter runs/ember/adapter --chat --prompt Hello
  lowrank generate --model models/smollm2 --prompt-file questions.jsonl --json > answers.jsonl
`;
}

/** What `lowrank chat --help` prints. */
export function chatHelp(): string {
  return `lowrank chat: talk to a model

Usage: lowrank chat --model MODEL [--adapter PATH] [options]

${flagTable(CHAT_FLAGS, GENERATE_SECTIONS)}

In the conversation
  /reset       forget what was said; the system message stays
  /exit        end, as Ctrl-D does
  Ctrl-C       stop the answer; between answers, end

Exit codes
${exitCodeTable()}

Examples
  lowrank chat --model models/smollm2 --adapter runs/ember/adapter
  lowrank chat --model models/smollm2 --system "You answer in one sentence." --temperature 0
`;
}
