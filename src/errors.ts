/**
 * The errors a caller may want to tell apart. Everything else is a built-in class by meaning
 * (TypeError, RangeError, SyntaxError). Messages say what failed, where, what was found, what was
 * wanted, and how to mend it.
 *
 * @module
 */

/** One problem of a configuration; `path` is the field's wire name, such as `lora.r`. */
export interface ConfigIssue {
  readonly path: string;
  readonly message: string;
}

/** A configuration that does not validate. Lists every problem at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map((issue) => (issue.path ? `${issue.path}: ${issue.message}` : issue.message)).join("\n"));
    this.issues = issues;
  }
}

/** One problem of a data file; `line` counts from 1 and is absent when the whole file is meant. */
export interface DatasetIssue {
  readonly file: string;
  readonly line?: number;
  readonly message: string;
}

/** Training data that cannot be used. Lists every bad line at once. */
export class DatasetFormatError extends Error {
  override readonly name = "DatasetFormatError";
  readonly issues: readonly DatasetIssue[];

  constructor(issues: readonly DatasetIssue[]) {
    super(
      issues.map(({ file, line, message }) => `${file}${line === undefined ? "" : `:${line}`}: ${message}`)
        .join("\n"),
    );
    this.issues = issues;
  }
}

/** A file, folder, object or bucket that is not there. */
export class StorageNotFoundError extends Error {
  override readonly name = "StorageNotFoundError";
}

/** A file, folder, object or bucket that may not be read or written. */
export class StorageDeniedError extends Error {
  override readonly name = "StorageDeniedError";
}

/** A bucket, container or repository that does not exist: a wrong name, not a missing file. */
export class StorageBucketError extends Error {
  override readonly name = "StorageBucketError";
}

/** A transfer that broke off and did not come through when it was tried again: network, time, or the service. */
export class StorageInterruptedError extends Error {
  override readonly name = "StorageInterruptedError";
}

/** A conditional write or pinned read that did not happen, as somebody else wrote there first. */
export class StorageConflictError extends Error {
  override readonly name = "StorageConflictError";
}

/** Bytes that are not those that were sent: size or checksum differs. */
export class StorageDamagedError extends Error {
  override readonly name = "StorageDamagedError";
}

/** A model file that is damaged or contradicts itself: truncated, lying header, missing tensor. */
export class ModelFormatError extends Error {
  override readonly name = "ModelFormatError";
}

/** A well-formed model of a kind that is not supported. */
export class UnsupportedModelError extends Error {
  override readonly name = "UnsupportedModelError";
}

/** No WebGPU, no adapter, or an adapter that lacks what is needed. */
export class GpuUnavailableError extends Error {
  override readonly name = "GpuUnavailableError";
}

/** What was asked for does not fit the device's memory or limits. */
export class GpuMemoryError extends Error {
  override readonly name = "GpuMemoryError";
}

/** The device was lost while it was in use: driver reset, removed, or destroyed. */
export class GpuLostError extends Error {
  override readonly name = "GpuLostError";
}

/** A loss or gradient that is not a finite number. The weights of the last good step are kept. */
export class DivergedError extends Error {
  override readonly name = "DivergedError";
  readonly step: number;

  constructor(message: string, step: number) {
    super(message);
    this.step = step;
  }
}
