/**
 * What is logged, and how it looks.
 *
 * @module
 */

/** From nothing to everything. */
export const LOG_LEVELS = ["off", "error", "warning", "info", "debug"] as const;
export const LOG_FORMATS = ["text", "json"] as const;

/** Plain data, so that a worker can be told. */
export interface LogSetting {
  /** The least severe level that is shown. */
  readonly level: (typeof LOG_LEVELS)[number];
  /** `json` is one object a line. */
  readonly format: (typeof LOG_FORMATS)[number];
}
