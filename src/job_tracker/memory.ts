/**
 * Job records in memory: for tests, and for a page.
 *
 * @module
 */
import { type JobRecord, type JobRecordStore, type JobUpdate, updatedRecord } from "../job_tracker.ts";

/** Records in this process' memory, for tests and for jobs that nobody else watches. */
export class MemoryJobRecords implements JobRecordStore {
  readonly uri = "memory";
  readonly #records = new Map<string, JobRecord>();

  write(jobId: string, update: JobUpdate): Promise<void> {
    this.#records.set(jobId, updatedRecord(jobId, this.#records.get(jobId) ?? null, update));
    return Promise.resolve();
  }

  read(jobId: string): Promise<JobRecord | null> {
    return Promise.resolve(this.#records.get(jobId) ?? null);
  }

  /** Does nothing: the records stay readable. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
