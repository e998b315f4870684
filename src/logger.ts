/**
 * Where the library's log lines go: to LogTape's loggers below `lowrank`, which are silent until a program configures
 * them. The library itself never does; the command does for `--log-level`.
 *
 * @module
 */
import { getLogger, type Logger } from "@logtape/logtape";

/** Parts of the library that log, each a category below `lowrank`. */
export const LOG_AREAS = ["job", "storage", "model", "data", "gpu", "train", "tracker"] as const;
/** One of {@link LOG_AREAS}. */
export type LogArea = (typeof LOG_AREAS)[number];

/** The logger of a part. Cheap while nobody listens, yet not for the inside of the step loop. */
export function logger(area: LogArea): Logger {
  return getLogger(["lowrank", area]);
}
