/**
 * Checkpoints that jobs have on the disk.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { randomWord } from "./ids.ts";
import { type Page, pageOf } from "./pages.ts";

/** A checkpoint. */
export interface StoredCheckpoint {
  readonly id: string;
  readonly jobId: string;
  readonly step: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** What was measured up to it, by OpenAI's names. */
  readonly metrics: Readonly<Record<string, number>>;
}

interface Row {
  readonly record: string;
}

export class CheckpointStore {
  readonly #database: Database;
  readonly #now: () => number;

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /** Notes a checkpoint; one that is known already stays as it was. @returns Whether it is new. */
  add(jobId: string, step: number, metrics: StoredCheckpoint["metrics"]): boolean {
    const made: StoredCheckpoint = {
      id: `ftckpt_${randomWord(24)}`,
      jobId,
      step,
      createdAt: this.#now(),
      metrics,
    };
    const added = this.#database.run(
      "INSERT OR IGNORE INTO checkpoints (job_id, step, record) VALUES (?, ?, ?)",
      jobId,
      step,
      JSON.stringify(made),
    );
    return added > 0;
  }

  /** Forgets those of a job that are not of one of these steps. */
  keepOnly(jobId: string, steps: readonly number[]): void {
    this.#database.run(
      "DELETE FROM checkpoints WHERE job_id = ? AND step NOT IN (SELECT value FROM json_each(?))",
      jobId,
      JSON.stringify(steps),
    );
  }

  /** Checkpoints of a page, the latest first; null if it is to begin after one that does not exist. */
  list(jobId: string, after: string | null, limit: number): Page<StoredCheckpoint> | null {
    const all = this.#database.all<Row>(
      "SELECT record FROM checkpoints WHERE job_id = ? ORDER BY step DESC",
      jobId,
    ).map(({ record }): StoredCheckpoint => JSON.parse(record));
    const from = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1;
    return after !== null && from === 0 ? null : pageOf(all.slice(from), limit);
  }
}
