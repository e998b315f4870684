/**
 * Why runs fail, in words for their owners.
 *
 * @module
 */
import type { JobError } from "./job_store.ts";
import type { ToldError } from "./launchers/launcher.ts";
import { withoutPaths } from "./training_events.ts";

/** Errors that another try may not meet again: of the device, the network, the machine. */
const PASSING = ["GpuLostError", "GpuUnavailableError", "StorageInterruptedError"];

/** Codes by the class of the error. */
const CODES: Readonly<Record<string, string>> = {
  ConfigError: "invalid_hyperparameters",
  GpuMemoryError: "out_of_memory",
  GpuLostError: "gpu_lost",
  GpuUnavailableError: "gpu_unavailable",
  DivergedError: "diverged",
  ModelFormatError: "invalid_model",
  UnsupportedModelError: "unsupported_model",
  ModelNotFound: "model_not_found",
};

/** Lines of a data file that are told. */
const MOST_LINES = 20;

/** Whether the same run may come through when it is tried again. */
export function mayPass({ name }: ToldError): boolean {
  return PASSING.includes(name);
}

/** A job's error for what its run threw. */
export function jobErrorOf(told: ToldError & Partial<JobError>): JobError {
  const { name, message, issues = [], code, param = null } = told;
  if (code !== undefined) return { code, message, param };
  if (name === "DatasetFormatError") {
    const lines = issues.slice(0, MOST_LINES).map(({ line, message }) =>
      line === undefined ? message : `Line ${line}: ${message}`
    );
    return {
      code: "invalid_training_file",
      message: withoutPaths(lines.join("\n") || message),
      param: "training_file",
    };
  }
  const isModel = /Model/.test(name);
  return {
    code: CODES[name] ?? "run_failed",
    message: withoutPaths(message),
    param: isModel ? "model" : null,
  };
}
