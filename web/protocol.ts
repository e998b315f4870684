/**
 * What page and worker say to each other. Plain data, so that it survives structured cloning; errors travel by name,
 * message and list of problems.
 *
 * @module
 */
import { ConfigError, DatasetFormatError } from "../src/errors.ts";
import type { TrainingEvent } from "../src/job.ts";

/** What the page asks of the worker. */
export type WorkerCommand =
  /** First of all: looks for a run to go on with. Answered by `ready`. */
  | { readonly type: "open"; readonly outputDir: string }
  /** Runs a job, given in the form that config files have. Answered by events, then `completed`, `stopped` or `failed`. */
  | { readonly type: "start"; readonly config: Readonly<Record<string, unknown>> }
  /** Ends the running job between two batches; a checkpoint of its last whole step is kept. */
  | { readonly type: "stop" };

/** What the worker tells the page. */
export type WorkerMessage =
  | { readonly type: "ready"; readonly store: RunStore; readonly resumable: number | null }
  | { readonly type: "event"; readonly event: TrainingEvent }
  | { readonly type: "completed"; readonly files: readonly RunFile[] }
  | { readonly type: "stopped"; readonly resumable: number | null }
  | { readonly type: "failed"; readonly error: PlainError; readonly resumable: number | null };

/** Where runs are kept: on the device across visits, or until the page is closed. */
export type RunStore = "device" | "memory";

/** A file that a run has made. */
export interface RunFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

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
