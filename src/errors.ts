/**
 * The errors a caller may want to tell apart. Everything else is a built-in class by meaning
 * (TypeError, RangeError, SyntaxError). Messages say what failed, where, what was found, what was
 * wanted, and how to mend it.
 *
 * @module
 */

/** One problem of a configuration; `path` is the field's wire name, such as `lora.r`. */
export interface ConfigIssue {
  /** The option by its name in files, or the flag, variable or entry it came from; empty for the whole. */
  readonly path: string;
  /** What was found, what was wanted, and how to mend it. */
  readonly message: string;
}

/** A configuration that does not validate. Lists every problem at once. */
export class ConfigError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "ConfigError";
  /** Every problem, in the order in which they were found. */
  readonly issues: readonly ConfigIssue[];

  /** Joins the problems, at least one, to the message, a line each. */
  constructor(issues: readonly ConfigIssue[]) {
    super(issues.map((issue) => (issue.path ? `${issue.path}: ${issue.message}` : issue.message)).join("\n"));
    this.issues = issues;
  }
}

/** The text of a bad line, or the part of it around the place that is wrong. */
export interface LineExcerpt {
  /** The part that is shown. */
  readonly text: string;
  /** UTF-16 units of the line before it. */
  readonly before: number;
  /** UTF-16 units of the line behind it. */
  readonly after: number;
  /** Where in `text` it goes wrong, in UTF-16 units; absent where that is not known. */
  readonly at?: number;
}

/** One problem of a data file; `line` counts from 1 and is absent when the whole file is meant. */
export interface DatasetIssue {
  /** Uri of the file. */
  readonly file: string;
  /** From 1; absent where the whole file is meant. */
  readonly line?: number;
  /** What was found, what was wanted, and how to mend it. */
  readonly message: string;
  /** The line's text, where it was asked for. */
  readonly excerpt?: LineExcerpt;
}

/** Training data that cannot be used. Lists every bad line at once. */
export class DatasetFormatError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "DatasetFormatError";
  /** Every problem, in the order of the files and lines. */
  readonly issues: readonly DatasetIssue[];

  /** Joins the problems, at least one, to the message, a line each. */
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
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "StorageNotFoundError";
}

/** A file, folder, object or bucket that may not be read or written. */
export class StorageDeniedError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "StorageDeniedError";
}

/** A bucket, container or repository that does not exist: a wrong name, not a missing file. */
export class StorageBucketError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "StorageBucketError";
}

/** A transfer that broke off and did not come through when it was tried again: network, time, or the service. */
export class StorageInterruptedError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "StorageInterruptedError";
}

/** A conditional write or pinned read that did not happen, as somebody else wrote there first. */
export class StorageConflictError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "StorageConflictError";
}

/** Bytes that are not those that were sent: size or checksum differs. */
export class StorageDamagedError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "StorageDamagedError";
}

/** A model file that is damaged or contradicts itself: truncated, lying header, missing tensor. */
export class ModelFormatError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "ModelFormatError";
}

/** A well-formed model of a kind that is not supported. */
export class UnsupportedModelError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "UnsupportedModelError";
}

/** No WebGPU, no adapter, or an adapter that lacks what is needed. */
export class GpuUnavailableError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "GpuUnavailableError";
}

/** What was asked for does not fit the device's memory or limits. */
export class GpuMemoryError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "GpuMemoryError";
}

/** The device was lost while it was in use: driver reset, removed, or destroyed. */
export class GpuLostError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "GpuLostError";
}

/** A loss or gradient that is not a finite number. The weights of the last good step are kept. */
export class DivergedError extends Error {
  /** The class's name, which logs and messages between workers keep. */
  override readonly name = "DivergedError";
  /** The step that was not done, from 1. */
  readonly step: number;

  /** Takes what happened and at which step. */
  constructor(message: string, step: number) {
    super(message);
    this.step = step;
  }
}
