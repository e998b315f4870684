/**
 * Which tracker a job's options name; only that one is loaded.
 *
 * @module
 */
import type { JobConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { DISABLED_TRACKER, type JobTracker, type TrackerBackend } from "../job_tracker.ts";
import { QueuedTracker } from "../job_tracker/queued.ts";

/** The stores of records that there are without plugins. */
export const TRACKER_BACKENDS: readonly TrackerBackend[] = [
  {
    name: "sqlite",
    async open({ trackerPath }) {
      return new (await import("../job_tracker/sqlite.ts")).SqliteJobRecords(trackerPath);
    },
  },
  {
    name: "firestore",
    async open({ firestoreProject, firestoreCollection: collection }) {
      const { FirestoreJobRecords } = await import("../job_tracker/firestore.ts");
      return new FirestoreJobRecords({ projectId: firestoreProject ?? undefined, collection });
    },
  },
];

/**
 * @param warn Told when updates get lost.
 * @param backends Those that there are; default {@link TRACKER_BACKENDS}.
 */
export async function openTracker(
  job: JobConfig,
  warn: (message: string) => void,
  backends: readonly TrackerBackend[] = TRACKER_BACKENDS,
): Promise<JobTracker> {
  const { id, tracker, firestoreProject } = job;
  if (id === null || tracker === "none") return DISABLED_TRACKER;
  const name = tracker !== "auto" ? tracker : firestoreProject === null ? "sqlite" : "firestore";
  const found = backends.find((backend) => backend.name === name);
  if (found) return new QueuedTracker(await found.open(job), id, { warn });
  const known = backends.map((backend) => backend.name).join(", ");
  throw new ConfigError([{
    path: "tracker",
    message: `must be one of auto, none, ${known}: current value is "${name}"`,
  }]);
}
