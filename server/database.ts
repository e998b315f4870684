/**
 * The server's SQLite file: its tables, and transactions.
 *
 * @module
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

/** Steps from an empty file to the tables of this version; `user_version` counts those that were taken. Only ever add. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
  ) STRICT;
  CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    purpose TEXT NOT NULL,
    expires_at INTEGER,
    record TEXT NOT NULL
  ) STRICT;
  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    queued_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    fine_tuned_model TEXT UNIQUE,
    metadata TEXT,
    record TEXT NOT NULL
  ) STRICT;
  CREATE INDEX jobs_by_status ON jobs (status, queued_at, seq);
  CREATE TABLE events (
    job_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (job_id, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE checkpoints (
    job_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (job_id, step)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE idempotency_keys (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE told_records (
    store TEXT NOT NULL,
    job_id TEXT NOT NULL,
    told TEXT NOT NULL,
    PRIMARY KEY (store, job_id)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE proxy_uploads (
    id TEXT PRIMARY KEY,
    token_id TEXT,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    condition TEXT NOT NULL,
    note TEXT NOT NULL,
    last_at INTEGER NOT NULL
  ) STRICT;
  `,
];

/** Milliseconds that a statement waits for another process, such as the command that makes tokens. */
const BUSY_TIMEOUT_MS = 5000;

/** One connection, with statements that are compiled once. */
export class Database {
  readonly #connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  /**
   * Opens a file, making it and its tables where they are missing.
   *
   * @param path Default in memory: gone when it is closed.
   * @throws {Error} If the file was made by a newer version.
   */
  constructor(path = ":memory:") {
    this.#connection = new DatabaseSync(path);
    this.#connection.exec(
      `PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;`,
    );
    this.#migrate(path);
  }

  /** The first row; undefined if there is none. */
  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  /** @returns How many rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** Does all of `work` or nothing of it. Transactions within one are part of it. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#connection.exec("BEGIN IMMEDIATE");
    this.#depth++;
    try {
      const result = work();
      this.#connection.exec("COMMIT");
      return result;
    } catch (error) {
      this.#connection.exec("ROLLBACK");
      throw error;
    } finally {
      this.#depth--;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#connection.close();
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) this.#statements.set(sql, statement = this.#connection.prepare(sql));
    return statement;
  }

  #migrate(path: string): void {
    this.transaction(() => {
      const { user_version: version } = this.get<{ user_version: number }>("PRAGMA user_version")!;
      if (version > MIGRATIONS.length) {
        throw new Error(
          `Cannot use "${path}": a newer version made it (${version}, this one knows up to ${MIGRATIONS.length})`,
        );
      }
      for (const step of MIGRATIONS.slice(version)) this.#connection.exec(step);
      this.#connection.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    });
  }
}
