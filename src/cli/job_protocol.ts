/**
 * What the command and the worker that runs its job say to each other. Errors cross as plain data and come back as what
 * they were, so that exit codes do not depend on where a job runs.
 *
 * @module
 */
import { RankStoppedError } from "../distributed/communicator.ts";
import * as errors from "../errors.ts";
import type { ConfigIssue, DatasetIssue } from "../errors.ts";
import type { TrainingEvent } from "../job.ts";
import { STORAGE_ERRORS } from "../storage_manager/storage_errors.ts";
import type { LogSetting } from "./log_setting.ts";

/** To the worker. */
export type ToWorker =
  | {
    readonly type: "run";
    readonly config: Readonly<Record<string, unknown>>;
    readonly dryRun: boolean;
    /** What to log; null for nothing. */
    readonly logs: LogSetting | null;
  }
  /** Stop after the current micro-batch and keep a checkpoint. */
  | { readonly type: "stop" };

/** From the worker. */
export type FromWorker =
  | { readonly type: "event"; readonly event: TrainingEvent }
  /** Lines for the log. */
  | { readonly type: "log"; readonly lines: string }
  /** The job is over; without an error it ran to its end. */
  | { readonly type: "over"; readonly error: ErrorData | null }
  /** The job stopped because it was told to. */
  | { readonly type: "stopped" };

/** An error as plain data. */
export interface ErrorData {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly issues: readonly unknown[] | undefined;
  readonly step: number | undefined;
}

/** An error, or whatever was thrown, as data. */
export function errorData(thrown: unknown): ErrorData {
  if (!(thrown instanceof Error)) {
    return { name: "Error", message: String(thrown), stack: undefined, issues: undefined, step: undefined };
  }
  const { name, message, stack, issues, step } = thrown as
    & Error
    & Partial<Pick<ErrorData, "issues" | "step">>;
  return { name, message, stack, issues, step };
}

/** Classes that are made from a message alone. */
const BY_MESSAGE = [
  ...STORAGE_ERRORS,
  errors.ModelFormatError,
  errors.UnsupportedModelError,
  errors.GpuUnavailableError,
  errors.GpuMemoryError,
  errors.GpuLostError,
  RankStoppedError,
  TypeError,
  RangeError,
  SyntaxError,
];

/** The error that became this data. An unknown class becomes a plain `Error` of the same name. */
export function errorFrom(data: ErrorData): Error {
  const error = madeFrom(data);
  if (data.stack !== undefined) error.stack = data.stack;
  return error;
}

function madeFrom({ name, message, issues = [], step = 0 }: ErrorData): Error {
  if (name === "ConfigError") return new errors.ConfigError(issues as ConfigIssue[]);
  if (name === "DatasetFormatError") return new errors.DatasetFormatError(issues as DatasetIssue[]);
  if (name === "DivergedError") return new errors.DivergedError(message, step);
  const known = BY_MESSAGE.find((kind) => kind.name === name);
  return known ? new known(message) : Object.assign(new Error(message), { name });
}
