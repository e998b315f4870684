/**
 * Errors as plain data: they travel by name, message and list of problems.
 *
 * @module
 */
import { ConfigError, DatasetFormatError } from "../../src/errors.ts";

/** An error as plain data. */
export interface PlainError {
  /** Name of the class, such as `GpuMemoryError`. */
  readonly name: string;
  readonly message: string;
  /** Each problem of a configuration or data file by itself; empty for other errors. */
  readonly issues: readonly string[];
}

/** Takes an error apart. */
export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), issues: [] };
  const { name, message } = error;
  const listsIssues = error instanceof ConfigError || error instanceof DatasetFormatError;
  return { name, message, issues: listsIssues ? message.split("\n") : [] };
}
