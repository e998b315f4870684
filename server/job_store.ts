/**
 * Fine-tuning jobs in SQLite: what was asked for, how each stands, and which is next.
 *
 * @module
 */
import type { JobStatus } from "../src/job.ts";
import type { Database } from "./database.ts";
import { type Page, pageOf, type PageRequest } from "./pages.ts";

/** Why a job failed, for its owner. */
export interface JobError {
  /** A word for programs, such as `invalid_training_file`. */
  readonly code: string;
  readonly message: string;
  /** The field of the request that is to blame. */
  readonly param: string | null;
}

/** What was asked for, as it was sent: to be echoed. */
export interface JobMethod {
  readonly type: "supervised";
  readonly hyperparameters: Readonly<Record<string, unknown>>;
}

/** A job. Times are milliseconds since 1970. */
export interface StoredJob {
  readonly id: string;
  readonly status: JobStatus;
  /** As it was named by the client. */
  readonly model: string;
  readonly trainingFile: string;
  readonly validationFile: string | null;
  readonly suffix: string | null;
  readonly seed: number;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly method: JobMethod;
  /** Options of the run by wire name, without the paths, which are put in when it starts. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Token that it was created with; null without tokens. */
  readonly createdBy: string | null;
  readonly createdAt: number;
  /** When it was put in line: it is that of its creation until it is paused and resumed. */
  readonly queuedAt: number;
  /** It is not started before. */
  readonly notBefore: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Starts that ended in a crash since the last checkpoint. */
  readonly crashes: number;
  readonly step: number;
  readonly totalSteps: number | null;
  readonly etaSeconds: number | null;
  readonly trainedTokens: number | null;
  readonly evaluatedStep: number;
  readonly fineTunedModel: string | null;
  /** When the model was deleted; its name stays. */
  readonly modelDeletedAt: number | null;
  readonly resultFiles: readonly string[];
  readonly error: JobError | null;
}

/** What is known when a job is created. */
export type NewJob = Pick<
  StoredJob,
  | "id"
  | "model"
  | "trainingFile"
  | "validationFile"
  | "suffix"
  | "seed"
  | "metadata"
  | "method"
  | "options"
  | "createdBy"
>;

/** What may change of a job beside its status. */
export type JobChanges = Partial<Omit<StoredJob, keyof NewJob | "status" | "createdAt">>;

/** Which jobs are listed. */
export interface JobQuery extends Omit<PageRequest, "order"> {
  /** Metadata that a job has to have; null for jobs without any; absent for all. */
  readonly metadata?: Readonly<Record<string, string>> | null;
}

/** States in which a job has a process. */
export const ACTIVE: readonly JobStatus[] = ["validating", "running"];
/** States that a job may leave. */
export const UNFINISHED: readonly JobStatus[] = ["queued", ...ACTIVE, "paused"];

interface Row {
  readonly record: string;
}

export class JobStore {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #listeners = new Set<(id: string) => void>();

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  create(job: NewJob, status: "queued" | "paused" = "queued"): StoredJob {
    const now = this.#now();
    const stored: StoredJob = {
      ...job,
      status,
      createdAt: now,
      queuedAt: now,
      notBefore: 0,
      startedAt: null,
      finishedAt: null,
      crashes: 0,
      step: 0,
      totalSteps: null,
      etaSeconds: null,
      trainedTokens: null,
      evaluatedStep: -1,
      fineTunedModel: null,
      modelDeletedAt: null,
      resultFiles: [],
      error: null,
    };
    this.#database.run(
      "INSERT INTO jobs (id, status, queued_at, not_before, metadata, record) VALUES (?, ?, ?, ?, ?, ?)",
      job.id,
      stored.status,
      now,
      0,
      job.metadata && JSON.stringify(job.metadata),
      JSON.stringify(stored),
    );
    this.#changed(job.id);
    return stored;
  }

  get(id: string): StoredJob | null {
    const row = this.#database.get<Row>("SELECT record FROM jobs WHERE id = ?", id);
    return row ? JSON.parse(row.record) : null;
  }

  /** The state of a job alone, which those who follow it ask for often; null if there is no such job. */
  statusOf(id: string): JobStatus | null {
    return this.#database.get<{ status: JobStatus }>("SELECT status FROM jobs WHERE id = ?", id)?.status ??
      null;
  }

  /** The job that made a model; null if none did. */
  byModel(fineTunedModel: string): StoredJob | null {
    const row = this.#database.get<Row>("SELECT record FROM jobs WHERE fine_tuned_model = ?", fineTunedModel);
    return row ? JSON.parse(row.record) : null;
  }

  /** The same, though the model may be deleted: names of models that others began from. */
  makerOf(fineTunedModel: string): StoredJob | null {
    const [job] = this.#jobs(
      "SELECT record FROM jobs WHERE record ->> '$.fineTunedModel' = ?",
      fineTunedModel,
    );
    return job ?? null;
  }

  /** Jobs with a model that can be used, the latest first. */
  withModels(): StoredJob[] {
    return this.#jobs("SELECT record FROM jobs WHERE fine_tuned_model IS NOT NULL ORDER BY seq DESC");
  }

  /** Jobs of a page, the latest first; null if it is to begin after one that does not exist. */
  list({ after, limit, metadata }: JobQuery): Page<StoredJob> | null {
    const from = after === null ? null : this.#seqOf(after);
    if (from === undefined) return null;
    const wanted = Object.entries(metadata ?? {});
    const filter = metadata === null
      ? " AND metadata IS NULL"
      : wanted.map(() => " AND EXISTS (SELECT 1 FROM json_each(metadata) WHERE key = ? AND value = ?)").join(
        "",
      );
    const found = this.#jobs(
      `SELECT record FROM jobs WHERE (? IS NULL OR seq < ?)${filter} ORDER BY seq DESC LIMIT ?`,
      from,
      from,
      ...wanted.flat(),
      limit + 1,
    );
    return pageOf(found, limit);
  }

  /** Every job, the earliest first. */
  all(): StoredJob[] {
    return this.#jobs("SELECT record FROM jobs ORDER BY seq");
  }

  /** Calls `changed` after each change of a job. @returns What ends that. */
  listen(changed: (id: string) => void): () => void {
    this.#listeners.add(changed);
    return () => void this.#listeners.delete(changed);
  }

  /** Jobs of these states, in the order in which they were put in line. */
  inStates(...states: JobStatus[]): StoredJob[] {
    const places = states.map(() => "?").join(", ");
    return this.#jobs(
      `SELECT record FROM jobs WHERE status IN (${places}) ORDER BY queued_at, seq`,
      ...states,
    );
  }

  /** How many jobs there are in each state that has some. */
  counts(): Partial<Record<JobStatus, number>> {
    const rows = this.#database.all<{ status: JobStatus; count: number }>(
      "SELECT status, count(*) AS count FROM jobs GROUP BY status",
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  }

  /**
   * Takes the job that is next in line, so that nobody else does. Those that wait for another try are passed over.
   *
   * @param busy Jobs whose last process has not ended yet.
   */
  claim(busy: ReadonlySet<string>): StoredJob | null {
    return this.#database.transaction(() => {
      const waiting = this.#jobs(
        "SELECT record FROM jobs WHERE status = 'queued' AND not_before <= ? ORDER BY queued_at, seq LIMIT ?",
        this.#now(),
        busy.size + 1,
      );
      const next = waiting.find(({ id }) => !busy.has(id));
      return next ? this.move(next.id, ["queued"], "validating", {}) : null;
    });
  }

  /** When the next of those that wait for another try may start; null if none waits. */
  nextStart(): number | null {
    const row = this.#database.get<{ at: number | null }>(
      "SELECT min(not_before) AS at FROM jobs WHERE status = 'queued' AND not_before > ?",
      this.#now(),
    );
    return row?.at ?? null;
  }

  /** Changes the state of a job that is in one of `from`; null, and nothing changed, if it is in none of them. */
  move(
    id: string,
    from: readonly JobStatus[],
    status: JobStatus,
    changes: JobChanges = {},
  ): StoredJob | null {
    return this.#database.transaction(() => {
      const job = this.get(id);
      return job && from.includes(job.status) ? this.#write({ ...job, ...changes, status }) : null;
    });
  }

  /** Changes facts of a job. @throws {RangeError} If there is none. */
  update(id: string, changes: JobChanges): StoredJob {
    return this.#database.transaction(() => {
      const job = this.get(id);
      if (!job) throw new RangeError(`Cannot change job "${id}" as there is none`);
      return this.#write({ ...job, ...changes });
    });
  }

  #write(job: StoredJob): StoredJob {
    this.#database.run(
      "UPDATE jobs SET status = ?, queued_at = ?, not_before = ?, fine_tuned_model = ?, record = ? WHERE id = ?",
      job.status,
      job.queuedAt,
      job.notBefore,
      job.modelDeletedAt === null ? job.fineTunedModel : null,
      JSON.stringify(job),
      job.id,
    );
    this.#changed(job.id);
    return job;
  }

  /** Tells listeners once the transaction that the change is part of is over. */
  #changed(id: string): void {
    queueMicrotask(() => this.#listeners.forEach((changed) => changed(id)));
  }

  #seqOf(id: string): number | undefined {
    return this.#database.get<{ seq: number }>("SELECT seq FROM jobs WHERE id = ?", id)?.seq;
  }

  #jobs(sql: string, ...values: (string | number | null)[]): StoredJob[] {
    return this.#database.all<Row>(sql, ...values).map(({ record }) => JSON.parse(record));
  }
}
