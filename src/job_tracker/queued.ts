/**
 * A tracker that writes its updates one after the other while the job goes on.
 *
 * @module
 */
import type { JobStatus } from "../job.ts";
import {
  assertProgress,
  type JobMetadata,
  type JobRecordStore,
  type JobTracker,
  type JobUpdate,
  type TrackerReport,
} from "../job_tracker.ts";
import { logger } from "../logger.ts";
import { redactedData } from "../redact.ts";

/** How patient a tracker is. */
export interface QueuedTrackerOptions {
  /** Updates that wait in line. Default 64. */
  readonly capacity?: number;
  /** Tries of one update. Default 5. */
  readonly attempts?: number;
  /** Before the second try; doubled after each. Default 500. */
  readonly pauseMs?: number;
  /** Between two signs of life; 0 gives none. Default 30 000. */
  readonly heartbeatMs?: number;
  /** How long `close()` waits. Default 5000. */
  readonly closeMs?: number;
  /** Told once when updates begin to get lost, and at the end how many were. */
  readonly warn?: (message: string) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Writes to a store in the order in which updates came. What only tells progress is the first to give way. */
export class QueuedTracker implements JobTracker {
  readonly #store: JobRecordStore;
  readonly #jobId: string;
  readonly #options: Required<QueuedTrackerOptions>;
  readonly #heartbeat: ReturnType<typeof setInterval> | null;
  readonly #closing = new AbortController();
  #line: JobUpdate[] = [];
  #drained: Promise<void> = Promise.resolve();
  #isWriting = false;
  #written = 0;
  #dropped = 0;
  #closed: Promise<TrackerReport> | null = null;

  /**
   * Begins to tell of a job, and that it is alive.
   *
   * @param store Where updates go, one after the other.
   * @param jobId The job they are about.
   */
  constructor(store: JobRecordStore, jobId: string, options: QueuedTrackerOptions = {}) {
    this.#store = store;
    this.#jobId = jobId;
    this.#options = {
      capacity: 64,
      attempts: 5,
      pauseMs: 500,
      heartbeatMs: 30_000,
      closeMs: 5000,
      warn: () => {},
      now: Date.now,
      ...options,
    };
    const { heartbeatMs } = this.#options;
    this.#heartbeat = heartbeatMs > 0 ? setInterval(() => this.#add({}), heartbeatMs) : null;
  }

  /** As {@link JobTracker.markValidating}. */
  markValidating(metadata?: JobMetadata): void {
    this.#mark("validating", { progress: 0, error: null }, metadata);
  }

  /** As {@link JobTracker.markRunning}. */
  markRunning(metadata?: JobMetadata): void {
    this.#mark("running", {}, metadata);
  }

  /** As {@link JobTracker.markCompleted}. */
  markCompleted(metadata?: JobMetadata): void {
    this.#mark("completed", { progress: 1, error: null }, metadata);
  }

  /** As {@link JobTracker.markFailed}. */
  markFailed(error: string, metadata?: JobMetadata): void {
    this.#mark("failed", { error }, metadata);
  }

  /** As {@link JobTracker.markCancelled}. */
  markCancelled(metadata?: JobMetadata): void {
    this.#mark("cancelled", {}, metadata);
  }

  /** As {@link JobTracker.setProgress}. */
  setProgress(progress: number): void {
    assertProgress(progress);
    this.#add({ progress });
  }

  close(): Promise<TrackerReport> {
    return this.#closed ??= this.#close();
  }

  #mark(status: JobStatus, fields: Partial<JobUpdate>, metadata: JobMetadata | undefined): void {
    this.#add({ ...fields, status, ...(metadata ? { metadata } : {}) });
  }

  #add(fields: Omit<JobUpdate, "at">): void {
    if (this.#closed) return;
    const update = { ...redactedData(fields), at: this.#options.now() };
    const last = this.#line.at(-1);
    if (last && isMinor(last) && isMinor(update)) this.#line[this.#line.length - 1] = { ...last, ...update };
    else this.#line.push(update);
    if (this.#line.length > this.#options.capacity) {
      const minor = this.#line.findIndex(isMinor);
      this.#line.splice(Math.max(0, minor), 1);
      this.#drop(1, "they come faster than they are written");
    }
    if (!this.#isWriting) this.#drained = this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isWriting = true;
    await Promise.resolve(); // whoever added the update goes on first
    while (this.#line.length > 0) {
      const update = this.#line.shift()!;
      const problem = await this.#problemOf(update);
      if (this.#closing.signal.aborted) break; // counted as dropped by then
      if (problem === null) this.#written++;
      else this.#drop(1, problem);
    }
    this.#isWriting = false;
  }

  /** Writes an update, in several tries. @returns Why it could not be written; null if it was. */
  async #problemOf(update: JobUpdate): Promise<string | null> {
    const { attempts, pauseMs } = this.#options;
    for (let attempt = 1;; attempt++) {
      try {
        await this.#store.write(this.#jobId, update);
        return null;
      } catch (error) {
        if (attempt >= attempts || this.#closing.signal.aborted) {
          return error instanceof Error ? error.message : String(error);
        }
        logger("tracker").info("try {attempt} of {attempts} to write to {uri} failed: {problem}", {
          attempt,
          attempts,
          uri: this.#store.uri,
          problem: error instanceof Error ? error.message : String(error),
        });
      }
      await this.#pause(pauseMs * 2 ** (attempt - 1));
    }
  }

  async #close(): Promise<TrackerReport> {
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    const { closeMs, warn } = this.#options;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, closeMs);
    await Promise.race([this.#drained, late]);
    clearTimeout(timer);
    this.#closing.abort();
    const left = this.#line.length + (this.#isWriting ? 1 : 0);
    this.#line = [];
    this.#dropped += left;
    if (this.#dropped > 0) {
      warn(
        `job ${this.#jobId}: ${this.#dropped} updates did not reach ${this.#store.uri}; the job is not affected`,
      );
    }
    const report = { written: this.#written, dropped: this.#dropped, uri: this.#store.uri };
    logger("tracker").debug("{written} updates written to {uri}, {dropped} dropped", report);
    const closed = this.#store.close().catch(() => {});
    const { promise: tooLate, resolve: giveUp } = Promise.withResolvers<void>();
    const limit = setTimeout(giveUp, closeMs);
    await Promise.race([closed, tooLate]);
    clearTimeout(limit);
    return { written: this.#written, dropped: this.#dropped };
  }

  #drop(count: number, why: string): void {
    if (this.#dropped === 0) {
      this.#options.warn(
        `job ${this.#jobId}: updates do not reach ${this.#store.uri} (${why}); the job goes on`,
      );
    }
    this.#dropped += count;
    logger("tracker").warn("{count} updates of job {jobId} dropped: {why}", {
      count,
      jobId: this.#jobId,
      why,
    });
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#closing;
    const { promise, resolve } = Promise.withResolvers<void>();
    if (signal.aborted) return Promise.resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
    return promise;
  }
}

/** Whether nothing is lost for good without this update: the next one says more. */
function isMinor({ status, metadata }: JobUpdate): boolean {
  return status === undefined && metadata === undefined;
}
