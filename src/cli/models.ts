/**
 * `lowrank models`: the models that can be fine-tuned. The README's table is this list.
 *
 * @module
 */
import { MODEL_FAMILIES } from "../models/registry.ts";
import { DECODABLE_TYPES } from "../quant/gguf_blocks.ts";
import { type FlagSpec, GENERAL_FLAGS } from "./flags.ts";
import { isOn, readFlags } from "./generate_flags.ts";
import { exitCodeTable, flagTable, PLAIN_CODES } from "./help.ts";
import type { CliIo } from "./io.ts";

/** Kinds of weight files, and the element types that are read from each. */
export const WEIGHT_FILES: Readonly<Record<string, readonly string[]>> = {
  "Hugging Face folder (safetensors)": ["F32", "F16", "BF16"],
  "GGUF file": DECODABLE_TYPES,
};

/** Flags of `models`. */
export const MODELS_FLAGS: readonly FlagSpec[] = [
  { name: "json", aliases: [], placeholder: null, help: "The list as JSON", section: "General" },
  ...GENERAL_FLAGS,
];

/** One row a family. */
export interface ModelRow {
  /** `model_type` of config.json. */
  readonly type: string;
  readonly knownAs: string;
  readonly tried: string;
}

/** The families in the order of the registry. */
export function modelRows(): ModelRow[] {
  return [...MODEL_FAMILIES.values()].map(({ modelType, knownAs, tried }) => {
    return { type: modelType, knownAs, tried };
  });
}

/** The rows as a table in Markdown, columns as wide as their widest entry. */
export function modelTable(): string {
  const head = ["`model_type`", "models", "tried with"];
  const rows = modelRows().map(({ type, knownAs, tried }) => [`\`${type}\``, knownAs, tried]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** What `lowrank models --help` prints. */
export function modelsHelp(): string {
  return `lowrank models: the models that can be fine-tuned

Usage: lowrank models [options]

${flagTable(MODELS_FLAGS, ["General"])}

Exit codes
${exitCodeTable(PLAIN_CODES)}

Examples
  lowrank models
  lowrank models --json
`;
}

/** Prints the list. @throws {ConfigError} For unknown flags. */
export function models(args: readonly string[], io: Pick<CliIo, "stdout">): void {
  const flags = readFlags(args, MODELS_FLAGS);
  if (!flags) return io.stdout.write(modelsHelp());
  if (isOn(flags, "json")) {
    io.stdout.write(`${JSON.stringify({ models: modelRows(), files: WEIGHT_FILES }, null, 2)}\n`);
    return;
  }
  const files = Object.entries(WEIGHT_FILES).map(([kind, types]) => `${kind}: ${types.join(", ")}`);
  io.stdout.write(`${modelTable()}\n\nWeights  ${files.join("\n         ")}\n`);
}
