/**
 * What the processes that the server starts say on standard output, a JSON object a line, and what the process of a job means
 * by it.
 *
 * @module
 */
import type { TrainingEvent } from "../../src/job.ts";
import type { JobOutcome, ToldError } from "./launcher.ts";

/** What the process of a job says. */
export type JobWord =
  | { readonly type: "event"; readonly event: TrainingEvent }
  | { readonly type: "over"; readonly error: ToldError | null }
  | { readonly type: "stopped" };

const encoder = new TextEncoder();

/** Writes a word as a line, at once. @throws If nobody reads it. */
export function say(word: unknown): void {
  let bytes = encoder.encode(`${JSON.stringify(word)}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

/** The word of a line; null for what a library or driver prints, and for a line that the end of its process cut off. */
export function wordOf<Word = JobWord>(line: string): Word | null {
  if (!line.startsWith("{")) return null;
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** What a process that says this last has come to. */
export function outcomeOf(word: Exclude<JobWord, { type: "event" }>): JobOutcome {
  if (word.type === "stopped") return { type: "stopped" };
  return word.error ? { type: "failed", error: word.error } : { type: "completed" };
}
