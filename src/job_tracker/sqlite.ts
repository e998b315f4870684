/**
 * Job records in a SQLite file. Deno and Node only.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { JobStatus } from "../job.ts";
import {
  type JobRecord,
  type JobRecordPage,
  type JobRecordWatcher,
  type JobUpdate,
  updatedRecord,
  type WatchableJobRecords,
} from "../job_tracker.ts";
import { cursorOf, recordPage } from "./record_pages.ts";

/** The table `jobs`; times are milliseconds since 1970. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    progress REAL NOT NULL,
    error TEXT,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER,
    heartbeat_at INTEGER NOT NULL
  ) STRICT`;

interface Row {
  readonly job_id: string;
  readonly status: JobStatus;
  readonly progress: number;
  readonly error: string | null;
  readonly metadata: string;
  readonly created_at: number;
  readonly updated_at: number;
  readonly started_at: number | null;
  readonly completed_at: number | null;
  readonly heartbeat_at: number;
}

/** Several processes may write to one file. */
export class SqliteJobRecords implements WatchableJobRecords {
  readonly uri: string;
  readonly #pollMs: number;
  #database: DatabaseSync | null = null;

  /**
   * Opens nothing before the first update.
   *
   * @param path The file, made with its folder at the first update.
   * @param pollMs Between two looks at a record that is watched, since other processes tell nothing of what they write.
   */
  constructor(path: string, { pollMs = 500 }: { readonly pollMs?: number } = {}) {
    this.uri = path;
    this.#pollMs = pollMs;
  }

  // deno-lint-ignore require-await -- async so that a locked file rejects instead of throwing
  async write(jobId: string, update: JobUpdate): Promise<void> {
    const database = this.#opened();
    database.exec("BEGIN IMMEDIATE");
    try {
      const record = updatedRecord(jobId, this.#record(jobId), update);
      database.prepare(`
        INSERT OR REPLACE INTO jobs (job_id, status, progress, error, metadata, created_at, updated_at, started_at,
          completed_at, heartbeat_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`).run(
        jobId,
        record.status,
        record.progress,
        record.error,
        JSON.stringify(record.metadata),
        record.createdAt,
        record.updatedAt,
        record.startedAt,
        record.completedAt,
        record.heartbeatAt,
      );
      database.exec("COMMIT");
    } catch (error) {
      database.exec("ROLLBACK");
      throw error;
    }
  }

  // deno-lint-ignore require-await -- as above
  async read(jobId: string): Promise<JobRecord | null> {
    return this.#record(jobId);
  }

  // deno-lint-ignore require-await -- as above
  async list(
    { limit, pageToken }: { readonly limit: number; readonly pageToken?: string | null },
  ): Promise<JobRecordPage> {
    const cursor = cursorOf(pageToken);
    const rows = this.#opened().prepare(`
      SELECT * FROM jobs WHERE created_at < ?1 OR (created_at = ?1 AND job_id < ?2)
      ORDER BY created_at DESC, job_id DESC LIMIT ?3`)
      .all(cursor?.createdAt ?? Number.MAX_SAFE_INTEGER, cursor?.jobId ?? "", limit + 1);
    return recordPage((rows as unknown as Row[]).map(recordOf), limit);
  }

  watch(jobId: string, watcher: JobRecordWatcher): () => void {
    let told: string | null = null;
    const look = () => {
      try {
        const record = this.#record(jobId), text = JSON.stringify(record);
        if (text === told) return;
        told = text;
        watcher.changed(record);
      } catch (error) {
        clearInterval(timer);
        watcher.failed(error);
      }
    };
    const timer = setInterval(look, this.#pollMs);
    look();
    return () => clearInterval(timer);
  }

  /** Closes the file. */
  close(): Promise<void> {
    this.#database?.close();
    this.#database = null;
    return Promise.resolve();
  }

  #record(jobId: string): JobRecord | null {
    const row = this.#opened().prepare("SELECT * FROM jobs WHERE job_id = ?").get(jobId) as Row | undefined;
    return row === undefined ? null : recordOf(row);
  }

  #opened(): DatabaseSync {
    if (this.#database) return this.#database;
    const slash = this.uri.lastIndexOf("/");
    if (slash > 0) mkdirSync(this.uri.slice(0, slash), { recursive: true });
    const database = new DatabaseSync(this.uri);
    // a short wait, since it holds up the whole thread: the tracker tries again later
    database.exec("PRAGMA busy_timeout = 100; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    database.exec(SCHEMA);
    return this.#database = database;
  }
}

function recordOf(row: Row): JobRecord {
  return {
    jobId: row.job_id,
    status: row.status,
    progress: row.progress,
    error: row.error,
    metadata: JSON.parse(row.metadata),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    heartbeatAt: row.heartbeat_at,
  };
}
