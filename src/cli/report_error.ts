/**
 * Errors as the terminal shows them: `error:` lines, then at most one `hint:`.
 *
 * @module
 */

import { ConfigError, DatasetFormatError, StorageNotFoundError } from "../errors.ts";
import { exitCodeOf } from "./exit_codes.ts";
import { painter } from "./paint.ts";

/** Data files cut their own list below this; here is the last resort. */
const MOST_LINES = 60;

function errorLines(error: unknown): string[] {
  if (error instanceof ConfigError) {
    // Most messages go on from the option's name ("must be ..."); some are sentences of their own.
    return error.issues.map(({ path, message }) => {
      return path === "" ? message : `${path}${/^[A-Z]/.test(message) ? ":" : ""} ${message}`;
    });
  }
  if (error instanceof DatasetFormatError) return error.message.split("\n");
  return [error instanceof Error ? error.message || error.name : String(error)];
}

/** What a message cannot know: how this command is used. Other messages say themselves what to do. */
function hintFor(error: unknown, verb: string): string | null {
  if (error instanceof ConfigError) {
    return `"lowrank help" lists the commands, "lowrank ${verb} --help" the options`;
  }
  if (error instanceof DatasetFormatError) return "mend or remove these lines of the data file";
  if (error instanceof StorageNotFoundError) {
    return /"[a-z][a-z0-9+.-]+:\/\//.test(error.message) ? null : "paths are relative to the current folder";
  }
  return exitCodeOf(error) === 1 ? "LOWRANK_DEBUG=1 shows where it happened" : null;
}

/**
 * The lines to print for what a command threw. A stack trace is added only when `debug` is set.
 *
 * @param options.verb The command whose options a hint may name; default `train`.
 */
export function describeError(
  error: unknown,
  { debug, color, verb = "train" }: { debug: boolean; color: boolean; verb?: string },
): string {
  const paint = painter(color);
  const lines = errorLines(error);
  const shown = lines.slice(0, MOST_LINES).map((line) => `${paint("red", "error:")} ${line}`);
  if (lines.length > MOST_LINES) {
    shown.push(`${paint("red", "error:")} and ${lines.length - MOST_LINES} more`);
  }
  const hint = hintFor(error, verb);
  if (hint) shown.push(`${paint("cyan", "hint:")} ${hint}`);
  if (debug && error instanceof Error && error.stack) shown.push(error.stack);
  return shown.map((line) => `${line}\n`).join("");
}
