/**
 * What happened to each job, in order, for as long as the job is kept. Numbers rise by one from 1, so that a client knows
 * that it has missed nothing.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { type Page, pageOf } from "./pages.ts";

/** An event of a job. */
export interface JobEvent {
  readonly jobId: string;
  /** From 1, without gaps. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly type: "message" | "metrics";
  readonly data: Readonly<Record<string, unknown>> | null;
}

/** An event before it has a number. */
export interface NewEvent {
  /** Default info. */
  readonly level?: JobEvent["level"];
  readonly message: string;
  /** Default message. */
  readonly type?: JobEvent["type"];
  readonly data?: JobEvent["data"];
}

interface Row {
  readonly record: string;
}

export class EventStore {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /** Adds an event and wakes those who wait for it, once the transaction that it is part of is over. */
  append(jobId: string, { level = "info", message, type = "message", data = null }: NewEvent): JobEvent {
    const event = this.#database.transaction(() => {
      const { seq } = this.#database.get<{ seq: number }>(
        "SELECT coalesce(max(seq), 0) + 1 AS seq FROM events WHERE job_id = ?",
        jobId,
      )!;
      const made: JobEvent = { jobId, seq, createdAt: this.#now(), level, message, type, data };
      this.#database.run(
        "INSERT INTO events (job_id, seq, record) VALUES (?, ?, ?)",
        jobId,
        seq,
        JSON.stringify(made),
      );
      return made;
    });
    queueMicrotask(() => this.#listeners.get(jobId)?.forEach((wake) => wake()));
    return event;
  }

  /** Events of a page, the latest first. @param before Number of the event before the first one; null for the latest. */
  list(jobId: string, before: number | null, limit: number): Page<JobEvent> {
    const rows = this.#database.all<Row>(
      "SELECT record FROM events WHERE job_id = ? AND (? IS NULL OR seq < ?) ORDER BY seq DESC LIMIT ?",
      jobId,
      before,
      before,
      limit + 1,
    );
    return pageOf(rows.map(({ record }): JobEvent => JSON.parse(record)), limit);
  }

  /** Events after one, the earliest first. */
  after(jobId: string, seq: number, limit: number): JobEvent[] {
    return this.#database.all<Row>(
      "SELECT record FROM events WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?",
      jobId,
      seq,
      limit,
    ).map(({ record }) => JSON.parse(record));
  }

  /** Calls `wake` after each event of a job. @returns What ends that. */
  listen(jobId: string, wake: () => void): () => void {
    const listeners = this.#listeners.get(jobId) ?? new Set();
    this.#listeners.set(jobId, listeners.add(wake));
    return () => {
      listeners.delete(wake);
      if (listeners.size === 0 && this.#listeners.get(jobId) === listeners) this.#listeners.delete(jobId);
    };
  }
}
