/**
 * `--verbose`, `--log-level` and `--log-format`: the library's log lines, on standard error.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { LOG_FORMATS, LOG_LEVELS, type LogSetting } from "./log_setting.ts";

/** Where log lines go, and how they look. */
export interface LogOutput extends LogSetting {
  /** Takes whole lines. */
  write(lines: string): void;
}

/**
 * Reads flags and variables, anywhere on the command line: the first lines come before flags are parsed.
 *
 * @returns Null where nothing is to be logged.
 * @throws {ConfigError} For a word that is no level or format.
 */
export function logSetting(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): LogSetting | null {
  const isVerbose = args.some((argument) => /^(-v|--verbose(=true)?)$/.test(argument));
  const variables = isVerbose ? { ...env, LOWRANK_LOG_LEVEL: "info" } : env;
  const level = wordOf(args, variables, "log-level", LOG_LEVELS, "off");
  const format = wordOf(args, env, "log-format", LOG_FORMATS, "text");
  return level === "off" ? null : { level, format };
}

/** Sends what this thread's loggers say to the output. Only a program's root may: the command, and its worker. */
export async function startLogging({ level, format, write }: LogOutput): Promise<void> {
  if (level === "off") return;
  const { configure, getJsonLinesFormatter, getTextFormatter } = await import("@logtape/logtape");
  const line = format === "json"
    ? getJsonLinesFormatter({ properties: "flatten" })
    : getTextFormatter({ timestamp: "rfc3339", category: ".", value: "bare" });
  await configure({
    reset: true,
    sinks: { output: (record) => write(line(record)) },
    loggers: [
      { category: "lowrank", lowestLevel: level, sinks: ["output"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["output"] },
    ],
  });
}

function wordOf<Word extends string>(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  flag: string,
  words: readonly Word[],
  fallback: Word,
): Word {
  const variable = `LOWRANK_${flag.toUpperCase().replaceAll("-", "_")}`;
  const given = valueOf(args, flag);
  const word = given ?? (env[variable] || fallback);
  const known = words.find((known) => known === word);
  if (known !== undefined) return known;
  throw new ConfigError([{
    path: given === null ? variable : `--${flag}`,
    message: `must be one of ${words.join(", ")}: current value is "${word}"`,
  }]);
}

/** The last value of a flag, in either spelling; null without it. What lacks a value is left to the parser. */
function valueOf(args: readonly string[], flag: string): string | null {
  const names = args.map((argument) => argument.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-")));
  const index = names.findLastIndex((name) => name === `--${flag}` || name.startsWith(`--${flag}=`));
  if (index < 0) return null;
  const inline = args[index]!.indexOf("=");
  return inline < 0 ? args[index + 1] ?? null : args[index]!.slice(inline + 1);
}
