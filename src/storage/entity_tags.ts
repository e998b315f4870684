/**
 * Versions of files as S3 and Azure have them: entity tags, and what must hold of them when a file is written.
 *
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";
import type { WriteCondition } from "../storage_manager.ts";
import { type Attempt, conflict } from "./failures.ts";

/** An entity tag without its quotes. */
export function plainTag(tag: string | null): string {
  return tag?.replace(/^W\//, "").replace(/^"|"$/g, "") ?? "";
}

/** What must hold, as S3 is told. */
export function conditionHeaders(condition: WriteCondition | null): Record<string, string> {
  if (!condition) return {};
  return "ifAbsent" in condition ? { "if-none-match": "*" } : { "if-match": `"${condition.ifVersion}"` };
}

/** A write that wants a version of a file that is not there is a conflict. */
export async function orConflict<T>(
  attempt: Attempt,
  condition: WriteCondition | null,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const wantsVersion = condition !== null && "ifVersion" in condition;
    throw wantsVersion && error instanceof StorageNotFoundError ? conflict(attempt) : error;
  }
}
