/**
 * The prompts of `generate`: one from a flag or standard input, or many from a file.
 *
 * @module
 */

import { type Message, ROLES } from "../data/formats.ts";
import { ConfigError, DatasetFormatError, type DatasetIssue } from "../errors.ts";
import type { ParsedFlags } from "./flags.ts";
import { isOn, readFlagFile, textOf } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";

/** A text to go on from, or a conversation to answer. */
export type Prompt = string | readonly Message[];

/**
 * Reads the prompts that the flags name.
 *
 * @throws {ConfigError} If there is none, or flags contradict each other.
 * @throws {DatasetFormatError} With every row of a .jsonl file that is no prompt.
 */
export async function readPrompts(
  flags: ParsedFlags,
  io: Pick<CliIo, "stdin" | "readTextFile">,
): Promise<Prompt[]> {
  const path = textOf(flags, "prompt_file"), system = textOf(flags, "system");
  const prompts = path === null
    ? [textOf(flags, "prompt") ?? withoutLineEnd(await io.stdin.text())]
    : promptsIn(await readFlagFile("--prompt-file", path, io), path);
  return prompts.map((prompt) => {
    if (typeof prompt === "string" && !isOn(flags, "chat")) return prompt;
    const said: readonly Message[] = typeof prompt === "string"
      ? [{ role: "user", content: prompt }]
      : prompt;
    return system === null || said[0]?.role === "system"
      ? said
      : [{ role: "system", content: system }, ...said];
  });
}

/** What is wrong with the flags that name prompts, before anything is read. */
export function checkPromptFlags(flags: ParsedFlags, stdinIsTerminal: boolean): ConfigError["issues"] {
  const prompt = flags.values.has("prompt"), file = flags.values.has("prompt_file");
  if (prompt && file) return [{ path: "--prompt-file", message: "cannot be given together with --prompt" }];
  if (!prompt && !file && stdinIsTerminal) {
    return [{
      path: "--prompt",
      message: "is missing: give it, or --prompt-file, or text on standard input",
    }];
  }
  if (flags.values.has("system") && !file && !isOn(flags, "chat")) {
    return [{ path: "--system", message: "needs --chat: plain text has no system message" }];
  }
  return [];
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

function promptsIn(text: string, path: string): Prompt[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const issues: DatasetIssue[] = [];
  const prompts = lines.flatMap((line, i): Prompt[] => {
    if (line.trim() === "") return [];
    if (!/\.jsonl?$/i.test(path)) return [line];
    const prompt = promptIn(line);
    if (typeof prompt === "object" && "problem" in prompt) {
      issues.push({ file: path, line: i + 1, message: prompt.problem });
      return [];
    }
    return [prompt];
  });
  if (issues.length > 0) throw new DatasetFormatError(issues);
  if (prompts.length > 0) return prompts;
  throw new DatasetFormatError([{ file: path, message: "holds no prompt: write one a line" }]);
}

/** A row's prompt: a string, `prompt`, `text`, or `messages` up to the last answer, which is left to the model. */
function promptIn(line: string): Prompt | { problem: string } {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (error) {
    return { problem: `is not JSON (${(error as Error).message})` };
  }
  if (typeof row === "string") return row;
  const { prompt, text, messages } = (row ?? {}) as Record<string, unknown>;
  if (typeof prompt === "string") return prompt;
  if (typeof text === "string") return text;
  if (Array.isArray(messages) && messages.length > 0 && messages.every(isMessage)) {
    const asked = messages.at(-1)!.role === "assistant" ? messages.slice(0, -1) : messages;
    if (asked.length > 0) return asked;
  }
  return {
    problem: 'is no prompt: a string, {"prompt": "..."}, {"text": "..."} or {"messages": [...]} is wanted',
  };
}

function isMessage(value: unknown): value is Message {
  const { role, content } = (value ?? {}) as Partial<Message>;
  return typeof content === "string" && (ROLES as readonly unknown[]).includes(role);
}
