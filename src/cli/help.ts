/**
 * Help texts, made from the tables of flags and exit codes.
 *
 * @module
 */

import { SECTIONS } from "../config.ts";
import { EXIT_CODES } from "./exit_codes.ts";
import type { FlagSpec } from "./flags.ts";

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

/** What `lowrank help` prints. */
export function mainHelp(): string {
  return `lowrank: fine-tune language models with LoRA through WebGPU

Usage: lowrank <command> [options]

  train                     Fine-tune a model
  config schema             Print the JSON Schema of a configuration file
  config validate FILE      Check a configuration file
  help [train]              Show this text, or that of a command
  version                   Show the version
`;
}

/** What `lowrank train --help` prints. */
export function trainHelp(flags: readonly FlagSpec[]): string {
  const sections = [...SECTIONS, "General" as const].map((section) =>
    [section, ...flags.filter((flag) => flag.section === section).map(flagRow)].join("\n")
  );
  const codes = EXIT_CODES.map(({ code, meaning }) => `  ${String(code).padEnd(4)} ${meaning}`);
  return `lowrank train: fine-tune a model

Usage: lowrank train --base-model PATH --output-model-name NAME --training-data-path PATH [options]
       lowrank train --config FILE [options]

${sections.join("\n\n")}

Files and environment
  A file holds the same options in snake_case, one level deep: base_model, lora_r, ...
  A variable is LOWRANK_ and the option in capitals: LOWRANK_LEARNING_RATE=1e-4.
  A flag wins over a variable, a variable over the file, the file over the default.
  Paths are relative to the current folder. An empty value of a PATH option means none.
  NO_COLOR and FORCE_COLOR are respected; LOWRANK_DEBUG=1 adds stack traces to errors.

Exit codes
${codes.join("\n")}

Examples
  lowrank train --base-model models/smollm2 --output-model-name ember --data train.jsonl
  lowrank train -c ember.yaml --epochs 1 --lr 1e-4 --dry-run
`;
}
