/**
 * Flags of the verbs that write text, and the options that they make.
 *
 * @module
 */

import { QUANTIZATION_WORDS, type QuantizationWord } from "../config.ts";
import { flagName } from "../config/naming.ts";
import { ConfigError, type ConfigIssue } from "../errors.ts";
import { GREEDY, samplingIssues, type SamplingOptions } from "../generate/sampling.ts";
import { type FlagSpec, GENERAL_FLAGS, type ParsedFlags, parseFlags, TRAIN_FLAGS } from "./flags.ts";
import type { CliIo, ModelRequest } from "./io.ts";
import { namedPlugins, PLUGINS_FLAG } from "./plugin_flag.ts";

/** Headings of `--help`, in order. */
export const GENERATE_SECTIONS = ["Model", "Prompt", "Sampling", "Output", "General"] as const;

const flag = (
  section: typeof GENERATE_SECTIONS[number],
  name: string,
  placeholder: string | null,
  help: string,
  more: Partial<FlagSpec> = {},
): FlagSpec => ({ name, section, placeholder, help, aliases: [], ...more });

/** Which GPU computes, as train has it. */
export const GPU_FLAG: FlagSpec = {
  ...TRAIN_FLAGS.find(({ name }) => name === "gpu")!,
  section: "Model" satisfies typeof GENERATE_SECTIONS[number],
};

const MODEL_FLAGS = [
  flag("Model", "model", "MODEL", "Base model: a folder, a GGUF file, OWNER/NAME on the Hub, or a URI", {
    short: "m",
    aliases: ["base-model"],
  }),
  flag("Model", "adapter", "PATH", "Folder of an adapter that was trained on it", {
    aliases: ["adapter-path"],
  }),
  flag("Model", "quantization", QUANTIZATION_WORDS.join("|"), "Keep the base's linear maps in fewer bits", {
    defaultText: "none",
  }),
  GPU_FLAG,
  flag("Model", "require-gpu", null, "Refuse adapters that compute on the CPU"),
];

const samplingFlags = (temperature: string) => [
  flag("Sampling", "max-new-tokens", "N", "New tokens of an answer at most", { defaultText: "256" }),
  flag("Sampling", "temperature", "N", "0 takes the most probable token, more varies", {
    defaultText: temperature,
  }),
  flag("Sampling", "top-p", "N", "Only the most probable tokens that make up this share", {
    defaultText: "1",
  }),
  flag("Sampling", "top-k", "N", "Only this many most probable tokens; 0 for all", { defaultText: "0" }),
  flag("Sampling", "repetition-penalty", "N", "Above 1 makes tokens that occurred less probable", {
    defaultText: "1",
  }),
  flag("Sampling", "seed", "N", "The same seed draws the same tokens", { defaultText: "0" }),
];

const SYSTEM = flag("Prompt", "system", "TEXT", "What the system message of the conversation says");
const TEMPLATE = flag("Prompt", "chat-template", "FILE", "A Jinja template in place of the model's own");
const RAW = flag("Output", "raw", null, "Show special tokens, and add no line feed at the end");

/** Flags of `generate`. */
export const GENERATE_FLAGS: readonly FlagSpec[] = [
  ...MODEL_FLAGS,
  flag("Prompt", "prompt", "TEXT", "The text to go on from; without one, standard input", { short: "p" }),
  flag("Prompt", "prompt-file", "FILE", "Many prompts: a line each, or rows of a .jsonl file"),
  flag("Prompt", "chat", null, "The prompt is what a user says: put it into the chat template"),
  SYSTEM,
  TEMPLATE,
  ...samplingFlags("0"),
  flag("Output", "json", null, "One JSON object a prompt and line: prompt, text, new_tokens, end"),
  RAW,
  flag("Output", "quiet", null, "No line about speed", { short: "q" }),
  PLUGINS_FLAG,
  ...GENERAL_FLAGS,
];

/** Flags of `chat`. */
export const CHAT_FLAGS: readonly FlagSpec[] = [
  ...MODEL_FLAGS,
  SYSTEM,
  TEMPLATE,
  ...samplingFlags("0.7"),
  flag("Output", "quiet", null, "No lines about speed", { short: "q" }),
  PLUGINS_FLAG,
  ...GENERAL_FLAGS,
];

/** Reads flags; null when help was asked for. @throws {ConfigError} With every flag that is unknown or lacks its value. */
export function readFlags(args: readonly string[], specs: readonly FlagSpec[]): ParsedFlags | null {
  const flags = parseFlags(args, specs);
  if (flags.values.get("help")) return null;
  // after an unknown flag its value looks like a stray word: the flag alone is worth a line
  const issues = flags.issues.length > 0 ? flags.issues : flags.positionals.map((word) => ({
    path: `"${word}"`,
    message: "is not expected: options start with --",
  }));
  if (issues.length > 0) throw new ConfigError(issues);
  return flags;
}

/** The value of a flag that takes text. */
export function textOf(flags: ParsedFlags, name: string): string | null {
  const value = flags.values.get(name);
  return typeof value === "string" ? value : null;
}

/** Whether a switch is on. */
export function isOn(flags: ParsedFlags, name: string): boolean {
  return flags.values.get(name) === true;
}

/** How to write: {@link SamplingOptions} and the number of new tokens. */
export type WritingOptions = SamplingOptions & { readonly maxNewTokens: number };

/**
 * The sampling flags as options.
 *
 * @param more Problems found elsewhere, told together with those found here.
 * @throws {ConfigError} With every value that is no number or out of its range.
 */
export function writingOptions(
  flags: ParsedFlags,
  temperature: number,
  more: readonly ConfigIssue[] = [],
): WritingOptions {
  const issues = [...more];
  const number = (name: string, absent: number) => {
    const text = (textOf(flags, name) ?? String(absent)).trim();
    return text === "" ? NaN : Number(text);
  };
  const options = {
    temperature: number("temperature", temperature),
    topK: number("top_k", GREEDY.topK),
    topP: number("top_p", GREEDY.topP),
    repetitionPenalty: number("repetition_penalty", GREEDY.repetitionPenalty),
    seed: number("seed", GREEDY.seed),
    maxNewTokens: number("max_new_tokens", 256),
  };
  for (const { path, message } of samplingIssues(options)) {
    issues.push({ path: `--${flagName(path)}`, message: withGiven(message, textOf(flags, path)) });
  }
  if (!(Number.isSafeInteger(options.maxNewTokens) && options.maxNewTokens >= 1)) {
    const given = textOf(flags, "max_new_tokens");
    issues.push({
      path: "--max-new-tokens",
      message: withGiven("must be a whole number of 1 or more: current value is ", given),
    });
  }
  if (issues.length > 0) throw new ConfigError(issues);
  return options;
}

/** A message that ends with the value as it was given: `abc`, where the number says NaN only. */
function withGiven(message: string, given: string | null): string {
  return message.replace(/current value is .*$/, `current value is ${JSON.stringify(given ?? "")}`);
}

/**
 * Which model the flags name.
 *
 * @throws {ConfigError} If the template's file cannot be read, or the quantisation is none that there is.
 */
export async function modelRequest(
  flags: ParsedFlags,
  io: Pick<CliIo, "readTextFile" | "env" | "loadPlugins">,
): Promise<ModelRequest> {
  const path = textOf(flags, "chat_template");
  return {
    model: textOf(flags, "model") ?? textOf(flags, "base_model") ?? "",
    adapter: textOf(flags, "adapter") ?? textOf(flags, "adapter_path"),
    chatTemplate: path === null ? null : await readFlagFile("--chat-template", path, io),
    quantization: quantizationOf(textOf(flags, "quantization") ?? "none"),
    gpu: textOf(flags, "gpu"),
    requireGpu: isOn(flags, "require_gpu"),
    plugins: await namedPlugins(flags, io),
  };
}

function quantizationOf(given: string): QuantizationWord {
  const word = QUANTIZATION_WORDS.find((known) => known === given);
  if (word) return word;
  const message = `must be one of ${QUANTIZATION_WORDS.join(", ")}: current value is ${
    JSON.stringify(given)
  }`;
  throw new ConfigError([{ path: "--quantization", message }]);
}

/** A missing `--model`, as an issue. */
export function missingModel(flags: ParsedFlags): ConfigIssue[] {
  if (flags.values.has("model") || flags.values.has("base_model")) return [];
  return [{ path: "--model", message: "is missing: name the folder of a base model" }];
}

/** The text of a file that a flag names. @throws {ConfigError} If it cannot be read. */
export async function readFlagFile(
  name: string,
  path: string,
  io: Pick<CliIo, "readTextFile">,
): Promise<string> {
  try {
    return await io.readTextFile(path);
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0]!.replace(/:$/, "");
    throw new ConfigError([{ path: name, message: `cannot be read from "${path}": ${reason}` }]);
  }
}
