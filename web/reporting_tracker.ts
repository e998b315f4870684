/**
 * Telling the page's server how a run of this tab goes.
 *
 * @module
 */
import type { JobTracker } from "../src/job_tracker.ts";
import { QueuedTracker } from "../src/job_tracker/queued.ts";
import { LowrankServer, type ServerAccess } from "./lowrank_server.ts";

/** @param warn Told what the server did not take. */
export function reportingTracker(
  access: ServerAccess,
  jobId: string,
  warn: (message: string) => void,
): JobTracker {
  return new QueuedTracker(new LowrankServer(access), jobId, { warn });
}
