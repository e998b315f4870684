/**
 * What the process of a job says, a line each, and what that means for the job.
 *
 * @module
 */
import type { TrainingEvent } from "../../src/job.ts";
import type { JobOutcome, ToldError } from "./launcher.ts";

/** A line that a job's process says. */
export type Word =
  | { readonly type: "event"; readonly event: TrainingEvent }
  | { readonly type: "over"; readonly error: ToldError | null }
  | { readonly type: "stopped" };

/** The word of a line; null for what a library or driver prints. */
export function wordOf(line: string): Word | null {
  if (!line.startsWith("{")) return null;
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** What a process that says this last has come to. */
export function outcomeOf(word: Exclude<Word, { type: "event" }>): JobOutcome {
  if (word.type === "stopped") return { type: "stopped" };
  return word.error ? { type: "failed", error: word.error } : { type: "completed" };
}
