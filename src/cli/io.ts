/**
 * What the command needs from the outside, so that tests run it without a terminal, files or a GPU.
 *
 * @module
 */

import type { FineTuneJobConfig, JobConfig, QuantizationWord } from "../config.ts";
import type { Message } from "../data/formats.ts";
import type { TextOptions, TextPiece } from "../generate/text.ts";
import type { TrainingEvent } from "../job.ts";
import type { LogOutput } from "./log_output.ts";
import type { JobTracker, TrackerBackend } from "../job_tracker.ts";
import type { Plugin } from "../plugin.ts";

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

/** Standard input. */
export interface Source {
  readonly isTerminal: boolean;
  /** All that is left, UTF-8. */
  text(): Promise<string>;
  /** The next line without its end; null when there is none. */
  line(): Promise<string | null>;
}

/** Which model is to write. */
export interface ModelRequest {
  readonly model: string;
  readonly adapter: string | null;
  /** Jinja source in place of the model's own; null for that. */
  readonly chatTemplate: string | null;
  /** How linear maps of the base are kept. */
  readonly quantization: QuantizationWord;
  /** Which of several GPUs, as `OpenGpuOptions.adapter`; null for the default. */
  readonly gpu: string | null;
  /** Refuse a software adapter. */
  readonly requireGpu: boolean;
  /** Those that are named, loaded. */
  readonly plugins: readonly Plugin[];
}

/** A model that writes: a `LanguageModel`. */
export interface WritingModel {
  promptOf(input: string | readonly Message[]): number[];
  generate(prompts: readonly (readonly number[])[], options: TextOptions): AsyncIterable<TextPiece>;
  close(): void | Promise<void>;
}

/** The outside of a command. */
export interface CliIo {
  readonly stdin: Source;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string>>;
  /** Whole text of a file, UTF-8. Rejects if it cannot be read. */
  readTextFile(path: string): Promise<string>;
  /** Where log lines go; absent: nowhere. */
  readonly logs?: LogOutput;
  /** Options of the job that runs where neither model, data nor a name for the result is given; absent: none. */
  readonly example?: Readonly<Record<string, unknown>>;
  /** The job of a configuration. `signal` stops it; a dry run plans, measures a step and keeps nothing. */
  createJob(
    config: FineTuneJobConfig,
    options: { dryRun: boolean; signal: AbortSignal; logs?: LogOutput },
  ): Promise<RunnableJob>;
  /** Who is told how a job stands, by the trackers of plugins too; absent: nobody. */
  openTracker?(
    job: JobConfig,
    warn: (message: string) => void,
    backends?: readonly TrackerBackend[],
  ): Promise<JobTracker>;
  /** Loads plugins from files. @throws {ConfigError} Absent: none can be named. */
  loadPlugins?(paths: readonly string[]): Promise<readonly Plugin[]>;
  /** Loads a model for writing. */
  openModel(request: ModelRequest): Promise<WritingModel>;
  /** Calls `work` with a signal that SIGINT, SIGTERM and SIGUSR2 abort with an `InterruptedError`. */
  untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}
