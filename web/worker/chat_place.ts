/**
 * Where what is talked to lies, and how its base was kept while it was trained.
 *
 * @module
 */
import { checkpointName } from "../../src/checkpoint/resume.ts";
import type { QuantizationWord } from "../../src/config.ts";
import { readRounds } from "../../src/logs/samples_file.ts";
import { RUN_FILE, type RunRecord } from "../../src/run_files.ts";
import { type Folder, readText } from "../../src/storage.ts";
import type { LocalSubject } from "../protocol/chat.ts";

/** Where to find what is talked to. */
export interface ChatPlace {
  readonly baseModel: string;
  /** Folder of what was trained; null for the base alone. */
  readonly adapter: string | null;
  readonly quantization: QuantizationWord;
  readonly doubleQuant: boolean;
  /** File of the Jinja in place of the tokenizer's own; null for that. */
  readonly chatTemplatePath: string | null;
  /** Prompts that the run has answered, some of them. */
  readonly examples: readonly string[];
}

/** So many prompts are offered, if they are no longer than this, characters. */
const MOST_EXAMPLES = 4, LONGEST_EXAMPLE = 160;

/** @throws {StorageNotFoundError} If the run is not there. */
export async function chatPlace(subject: LocalSubject, files: (uri: string) => Folder): Promise<ChatPlace> {
  if (subject.kind === "base") {
    const plain = { quantization: "none", doubleQuant: true, chatTemplatePath: null, examples: [] } as const;
    return { baseModel: subject.baseModel, adapter: null, ...plain };
  }
  const { run, checkpoint } = subject, folder = files(`runs/${run}`);
  const { config }: RunRecord = JSON.parse(await readText(folder, RUN_FILE));
  const { base_model, load_in_4bit, load_in_8bit, double_quant, chat_template_path } = config;
  return {
    baseModel: String(base_model),
    adapter: `runs/${run}/${checkpoint === null ? "adapter" : checkpointName(checkpoint)}`,
    quantization: load_in_4bit === true ? "4bit" : load_in_8bit === true ? "8bit" : "none",
    doubleQuant: double_quant !== false,
    chatTemplatePath: typeof chat_template_path === "string" ? chat_template_path : null,
    examples: await examplesOf(folder),
  };
}

async function examplesOf(run: Folder): Promise<string[]> {
  const rounds = await readRounds(run).catch(() => []); // of a damaged file there are none
  const prompts = new Set(rounds.at(-1)?.samples.map(({ prompt }) => prompt));
  return [...prompts].filter(({ length }) => length <= LONGEST_EXAMPLE).slice(0, MOST_EXAMPLES);
}
