/**
 * Pages of job records, the latest made first; of those made in the same millisecond, the last by name first.
 *
 * @module
 */
import type { JobRecord, JobRecordPage } from "../job_tracker.ts";

/** The last record of a page. */
export type RecordCursor = Pick<JobRecord, "createdAt" | "jobId">;

/** @throws {RangeError} If a token is none that {@link recordPage} gives. */
export function cursorOf(pageToken: string | null | undefined): RecordCursor | null {
  if (pageToken === null || pageToken === undefined) return null;
  const [, time, jobId] = /^(\d{1,15})_(.+)$/s.exec(pageToken) ?? [];
  if (jobId === undefined) {
    throw new RangeError("Cannot list job records: the page token is not one of a list");
  }
  return { createdAt: Number(time), jobId };
}

/** Whether a record comes after the last one of a page. */
export function isAfter(record: RecordCursor, cursor: RecordCursor | null): boolean {
  return cursor === null || byTime(cursor, record) < 0;
}

/** The order of records. */
export function byTime(a: RecordCursor, b: RecordCursor): number {
  return b.createdAt - a.createdAt || (a.jobId < b.jobId ? 1 : a.jobId > b.jobId ? -1 : 0);
}

/** The page that begins what was found, in order. */
export function recordPage(found: readonly JobRecord[], limit: number): JobRecordPage {
  const records = found.slice(0, limit), last = records.at(-1);
  const nextPageToken = found.length > limit && last ? `${last.createdAt}_${last.jobId}` : null;
  return { records, nextPageToken };
}
