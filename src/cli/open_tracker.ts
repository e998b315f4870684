/**
 * Which tracker a job's options name; only that one is loaded.
 *
 * @module
 */
import type { JobConfig } from "../config.ts";
import { DISABLED_TRACKER, type JobRecordStore, type JobTracker } from "../job_tracker.ts";
import { QueuedTracker } from "../job_tracker/queued.ts";

/** @param warn Told when updates get lost. */
export async function openTracker(job: JobConfig, warn: (message: string) => void): Promise<JobTracker> {
  const store = await recordStore(job);
  return store === null || job.id === null ? DISABLED_TRACKER : new QueuedTracker(store, job.id, { warn });
}

async function recordStore(job: JobConfig): Promise<JobRecordStore | null> {
  const { id, tracker, trackerPath, firestoreProject, firestoreCollection } = job;
  if (id === null || tracker === "none") return null;
  if (tracker === "sqlite" || (tracker === "auto" && firestoreProject === null)) {
    return new (await import("../job_tracker/sqlite.ts")).SqliteJobRecords(trackerPath);
  }
  const { FirestoreJobRecords } = await import("../job_tracker/firestore.ts");
  return new FirestoreJobRecords({
    projectId: firestoreProject ?? undefined,
    collection: firestoreCollection,
  });
}
