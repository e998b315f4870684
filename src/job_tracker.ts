/**
 * Telling others how a job stands. A tracker takes updates at once and writes them behind the job's back: one that is slow
 * or down never delays a job and never stops it.
 *
 * @module
 */
import type { JobConfig } from "./config.ts";
import type { JobStatus } from "./job.ts";

/** Facts about a job beside its state, such as its base model. */
export type JobMetadata = Readonly<Record<string, string | number | boolean | null>>;

/** How a job stands. Times are milliseconds since 1970. */
export interface JobRecord {
  /** Name of the job, chosen by who started it. */
  readonly jobId: string;
  /** Where the job is in its life. */
  readonly status: JobStatus;
  /** Share of the whole job that is done, 0..1. */
  readonly progress: number;
  /** Why it failed; null otherwise. */
  readonly error: string | null;
  /** Of all updates so far. */
  readonly metadata: JobMetadata;
  /** When the first update came. */
  readonly createdAt: number;
  /** When the last update came. */
  readonly updatedAt: number;
  /** When it began to run; null before. */
  readonly startedAt: number | null;
  /** When it reached a final state; null before. */
  readonly completedAt: number | null;
  /** When the job was last known to be alive. */
  readonly heartbeatAt: number;
}

/** What changes. Absent fields stay as they are; metadata are added to those there. */
export interface JobUpdate {
  /** When it happened, milliseconds since 1970. */
  readonly at: number;
  /** The new state. */
  readonly status?: JobStatus;
  /** The new share that is done, 0..1. */
  readonly progress?: number;
  /** Why it failed. */
  readonly error?: string | null;
  /** Facts to add. */
  readonly metadata?: JobMetadata;
}

/** Where records are kept. Each update is written whole or not at all. */
export interface JobRecordStore {
  /** Name for messages, such as `runs/jobs.db`. */
  readonly uri: string;
  /** Changes a record, making it at the first update. */
  write(jobId: string, update: JobUpdate): Promise<void>;
  /** Null if there is no such job. */
  read(jobId: string): Promise<JobRecord | null>;
  /** Lets the connection or file go. */
  close(): Promise<void>;
}

/** A kind of store. */
export interface TrackerBackend {
  /** What the option `tracker` calls it. */
  readonly name: string;
  /** Opens the store that a job's options name. Nothing need be there: a store that is down must not stop a job. */
  open(job: JobConfig): JobRecordStore | Promise<JobRecordStore>;
}

/** A page of records. */
export interface JobRecordPage {
  /** The latest made first. */
  readonly records: readonly JobRecord[];
  /** What asks for the page after this one; null after the last. */
  readonly nextPageToken: string | null;
}

/** Who wants to know how a job stands. */
export interface JobRecordWatcher {
  /** Told at once, and after each change; null while there is no such job. Changes in quick succession may be told as one. */
  changed(record: JobRecord | null): void;
  /** The store does not answer; nothing is told from then on. */
  failed(error: unknown): void;
}

/** A store of records that can be looked through and watched, whoever writes to it. */
export interface WatchableJobRecords extends JobRecordStore {
  /** Records of all jobs, `limit` at most, the latest made first. @throws {RangeError} If the token is none of a page. */
  list(request: { readonly limit: number; readonly pageToken?: string | null }): Promise<JobRecordPage>;
  /** Tells of one job from now on. @returns What ends the watch. */
  watch(jobId: string, watcher: JobRecordWatcher): () => void;
}

/** What became of the updates. */
export interface TrackerReport {
  /** Updates that the store has. */
  readonly written: number;
  /** Given up: the store was down for too long, or more came than wait in line. */
  readonly dropped: number;
}

/** Tracks one job. No method waits for the store, and none but `setProgress` throws. */
export interface JobTracker {
  /** Data and model are being looked at. */
  markValidating(metadata?: JobMetadata): void;
  /** Training is about to begin. */
  markRunning(metadata?: JobMetadata): void;
  /** All is saved. */
  markCompleted(metadata?: JobMetadata): void;
  /** The job ended by an error, which is told. */
  markFailed(error: string, metadata?: JobMetadata): void;
  /** The job was stopped from outside. */
  markCancelled(metadata?: JobMetadata): void;
  /** Tells which share of the whole job is done. @throws {RangeError} If it is not in 0..1. */
  setProgress(progress: number): void;
  /** Waits a little for what is still to be written, then gives it up. Resolves whatever the store does. */
  close(): Promise<TrackerReport>;
}

/** States after which nothing changes. */
export const FINAL_STATUSES: readonly JobStatus[] = ["completed", "failed", "cancelled"];

/** Tracks nothing: for jobs without an id. */
export const DISABLED_TRACKER: JobTracker = {
  markValidating() {},
  markRunning() {},
  markCompleted() {},
  markFailed() {},
  markCancelled() {},
  setProgress: assertProgress,
  close: () => Promise.resolve({ written: 0, dropped: 0 }),
};

/** @throws {RangeError} If a progress is not in 0..1. */
export function assertProgress(progress: number): void {
  if (progress >= 0 && progress <= 1) return;
  throw new RangeError(`Cannot set the progress of a job to ${progress}: it must be in 0..1`);
}

/** A record after an update; of a job that has none yet, `record` is null. For stores that keep whole records. */
export function updatedRecord(jobId: string, record: JobRecord | null, update: JobUpdate): JobRecord {
  const { at, status = record?.status ?? "queued", progress = record?.progress ?? 0 } = update;
  const isFinal = FINAL_STATUSES.includes(status);
  return {
    jobId,
    status,
    progress,
    error: update.error === undefined ? record?.error ?? null : update.error,
    metadata: { ...record?.metadata, ...update.metadata },
    createdAt: record?.createdAt ?? at,
    updatedAt: at,
    startedAt: record?.startedAt ?? (status === "running" ? at : null),
    completedAt: isFinal ? record?.completedAt ?? at : null,
    heartbeatAt: at,
  };
}
