/**
 * Job records in memory: for tests, and for a page.
 *
 * @module
 */
import {
  type JobRecord,
  type JobRecordPage,
  type JobRecordWatcher,
  type JobUpdate,
  updatedRecord,
  type WatchableJobRecords,
} from "../job_tracker.ts";
import { byTime, cursorOf, isAfter, recordPage } from "./record_pages.ts";

/** Records in this process' memory, for tests and for jobs that nobody else watches. */
export class MemoryJobRecords implements WatchableJobRecords {
  readonly uri = "memory";
  readonly #records = new Map<string, JobRecord>();
  readonly #watchers = new Map<string, Set<JobRecordWatcher>>();

  write(jobId: string, update: JobUpdate): Promise<void> {
    const record = updatedRecord(jobId, this.#records.get(jobId) ?? null, update);
    this.#records.set(jobId, record);
    for (const watcher of this.#watchers.get(jobId) ?? []) watcher.changed(record);
    return Promise.resolve();
  }

  read(jobId: string): Promise<JobRecord | null> {
    return Promise.resolve(this.#records.get(jobId) ?? null);
  }

  // deno-lint-ignore require-await -- async so that a wrong token rejects
  async list(
    { limit, pageToken }: { readonly limit: number; readonly pageToken?: string | null },
  ): Promise<JobRecordPage> {
    const cursor = cursorOf(pageToken);
    return recordPage([...this.#records.values()].filter((it) => isAfter(it, cursor)).sort(byTime), limit);
  }

  watch(jobId: string, watcher: JobRecordWatcher): () => void {
    const watchers = this.#watchers.get(jobId) ?? new Set();
    this.#watchers.set(jobId, watchers.add(watcher));
    watcher.changed(this.#records.get(jobId) ?? null);
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(jobId);
    };
  }

  /** Does nothing: the records stay readable. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
