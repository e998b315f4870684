/**
 * What the exit code of the command says, in one table.
 *
 * @module
 */

import {
  ConfigError,
  DatasetFormatError,
  DivergedError,
  GpuLostError,
  GpuMemoryError,
  GpuUnavailableError,
  ModelFormatError,
  UnsupportedModelError,
} from "../errors.ts";
import { STORAGE_ERRORS } from "../storage_manager/storage_errors.ts";

/** The run was stopped by a signal from outside, or because nobody reads what it writes (SIGPIPE). */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";

  constructor(readonly signalName: "SIGINT" | "SIGTERM" | "SIGPIPE" | "SIGUSR2") {
    super(`interrupted by ${signalName}`);
  }
}

type ErrorClass = abstract new (...args: never[]) => Error;

interface ExitRow {
  readonly code: number;
  readonly meaning: string;
  readonly errors: readonly ErrorClass[];
}

/** Codes 130, 140, 141 and 143 are 128 + the number of the signal, as shells have it. */
export const EXIT_CODES = [
  { code: 0, meaning: "done", errors: [] },
  { code: 1, meaning: "the run failed", errors: [] },
  { code: 2, meaning: "wrong usage or configuration", errors: [ConfigError] },
  { code: 3, meaning: "training data that cannot be used", errors: [DatasetFormatError] },
  {
    code: 4,
    meaning: "a model or file is missing, denied, damaged or of an unsupported kind",
    errors: [...STORAGE_ERRORS, ModelFormatError, UnsupportedModelError],
  },
  {
    code: 5,
    meaning: "no usable GPU, the run will not fit it, or the GPU was lost",
    errors: [GpuUnavailableError, GpuMemoryError, GpuLostError],
  },
  { code: 6, meaning: "the loss or a gradient became non-finite", errors: [DivergedError] },
  { code: 130, meaning: "interrupted (SIGINT)", errors: [] },
  { code: 140, meaning: "told to stop (SIGUSR2, as mpirun and Slurm hand on)", errors: [] },
  { code: 141, meaning: "nobody reads the output any more (SIGPIPE)", errors: [] },
  { code: 143, meaning: "terminated (SIGTERM)", errors: [] },
] as const satisfies readonly ExitRow[];

/** A code of the table. */
export type ExitCode = (typeof EXIT_CODES)[number]["code"];

const SIGNAL_CODES = { SIGINT: 130, SIGUSR2: 140, SIGPIPE: 141, SIGTERM: 143 } as const;

/** The code of the table for what a run threw; 1 for what the table does not name. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof InterruptedError) return SIGNAL_CODES[error.signalName];
  const row = EXIT_CODES.find(({ errors }) => errors.some((known: ErrorClass) => error instanceof known));
  return row?.code ?? 1;
}
