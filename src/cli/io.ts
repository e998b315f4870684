/**
 * What the command needs from the outside, so that tests run it without a terminal, files or a GPU.
 *
 * @module
 */

import type { FineTuneJobConfig } from "../config.ts";
import type { TrainingEvent } from "../job.ts";

/** Standard output or standard error. */
export interface Sink {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Width in characters; 100 where there is no terminal. */
  readonly columns: number;
}

/** A run that tells what it does. */
export interface RunnableJob {
  run(): AsyncIterable<TrainingEvent>;
}

/** The outside of a command. */
export interface CliIo {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string>>;
  /** Whole text of a file, UTF-8. Rejects if it cannot be read. */
  readTextFile(path: string): Promise<string>;
  /** The job of a configuration. `signal` stops it; a dry run plans and stops before the first step. */
  createJob(
    config: FineTuneJobConfig,
    options: { dryRun: boolean; signal: AbortSignal },
  ): Promise<RunnableJob>;
  /** Calls `work` with a signal that SIGINT and SIGTERM abort with an `InterruptedError`. */
  untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}
