/**
 * Tells the store of job records how the server's own jobs stand, beside those that run elsewhere. The database is what is
 * true: what is written is read from it at that moment, so that a slow store gets the latest state only, and one that was
 * down, or a server that was killed, catches up.
 *
 * @module
 */
import type { JobRecordStore, JobUpdate } from "../src/job_tracker.ts";
import { redactedData } from "../src/redact.ts";
import type { Database } from "./database.ts";
import { ACTIVE, type JobStore, type StoredJob } from "./job_store.ts";

/** What the mirror works with. */
export interface JobRecordMirrorDeps {
  readonly database: Database;
  readonly jobs: JobStore;
  readonly records: JobRecordStore;
  /** Between two writes of one job. Default 1000. */
  readonly intervalMs?: number;
  /** Between two signs of life of a job that runs. Default 30 000. */
  readonly heartbeatMs?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Told when the store stops to answer; for the operator. */
  readonly log?: (message: string, error: unknown) => void;
}

/** Longest pause before a store that does not answer is asked again. */
const LONGEST_PAUSE_MS = 60_000;

/** What the server's end waits for the store. */
const LAST_WORDS_MS = 3000;

/** What a store was told of a job. */
interface Told {
  readonly status: StoredJob["status"];
  readonly progress: number;
  readonly error: string | null;
  readonly metadata: NonNullable<JobUpdate["metadata"]>;
}

export class JobRecordMirror {
  readonly #deps: Required<JobRecordMirrorDeps>;
  /** Jobs of which the store may not know all. */
  readonly #waiting = new Set<string>();
  readonly #unlisten: () => void;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  #isClosing = false;
  #isFailing = false;
  #wake: () => void = () => {};
  readonly #over: Promise<void>;

  /** Begins with every job that changed since the store was told of it. */
  constructor(deps: JobRecordMirrorDeps) {
    this.#deps = { intervalMs: 1000, heartbeatMs: 30_000, now: Date.now, log: () => {}, ...deps };
    const { jobs, heartbeatMs } = this.#deps;
    this.#unlisten = jobs.listen((id) => this.#add(id));
    for (const job of jobs.all()) if (!this.#isTold(job)) this.#waiting.add(job.id);
    this.#heartbeat = setInterval(() => {
      for (const { id } of jobs.inStates(...ACTIVE)) this.#add(id);
    }, heartbeatMs);
    this.#over = this.#run();
  }

  /** Tells what is left, unless the store does not answer. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#heartbeat);
    this.#unlisten();
    this.#wake();
    const late = Promise.withResolvers<void>(), timer = setTimeout(late.resolve, LAST_WORDS_MS);
    await Promise.race([this.#over, late.promise]);
    clearTimeout(timer);
  }

  #add(id: string): void {
    this.#waiting.add(id);
    this.#wake();
  }

  async #run(): Promise<void> {
    const { intervalMs } = this.#deps;
    for (let failures = 0;;) {
      if (this.#waiting.size === 0) {
        if (this.#isClosing) return;
        await this.#woken();
        continue;
      }
      failures = await this.#tellAll() ? 0 : failures + 1;
      if (this.#isClosing && (failures > 0 || this.#waiting.size === 0)) return;
      if (!this.#isClosing) await this.#paused(Math.min(LONGEST_PAUSE_MS, intervalMs * 2 ** failures));
    }
  }

  /** Writes what waits. @returns Whether the store took all of it; the rest waits on. */
  async #tellAll(): Promise<boolean> {
    const { jobs, log } = this.#deps;
    for (const id of [...this.#waiting]) {
      this.#waiting.delete(id); // a change that comes while it is written has it written again
      try {
        const job = jobs.get(id);
        if (job) await this.#tell(job);
        this.#isFailing = false;
      } catch (error) {
        this.#waiting.add(id);
        if (!this.#isFailing) {
          log("job records are not written; jobs go on, and the store is asked again", error);
        }
        this.#isFailing = true;
        return false;
      }
    }
    return true;
  }

  async #tell(job: StoredJob): Promise<void> {
    const { records, now } = this.#deps, before = this.#told(job.id), told = toldOf(job);
    const { status, ...facts } = told, isNews = status !== (before?.status ?? "queued");
    if (!before) {
      await records.write(job.id, redactedData({ at: job.createdAt, status: "queued" as const, ...facts }));
    }
    // stores note when a job began at the word that it runs: it is said once
    if (before || isNews) {
      await records.write(job.id, redactedData({ at: now(), ...facts, ...(isNews ? { status } : {}) }));
    }
    this.#deps.database.run(
      "INSERT INTO told_records (store, job_id, told) VALUES (?, ?, ?) " +
        "ON CONFLICT DO UPDATE SET told = excluded.told",
      records.uri,
      job.id,
      JSON.stringify(told),
    );
  }

  #told(id: string): Told | null {
    const row = this.#deps.database.get<{ told: string }>(
      "SELECT told FROM told_records WHERE store = ? AND job_id = ?",
      this.#deps.records.uri,
      id,
    );
    return row ? JSON.parse(row.told) : null;
  }

  #isTold(job: StoredJob): boolean {
    return JSON.stringify(this.#told(job.id)) === JSON.stringify(toldOf(job));
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }

  /** Waits, unless the mirror is closed meanwhile. */
  async #paused(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>(), timer = setTimeout(resolve, ms);
    this.#wake = () => {
      if (this.#isClosing) resolve();
    };
    await promise;
    clearTimeout(timer);
  }
}

function toldOf(
  { status, step, totalSteps, error, model, trainingFile, validationFile, fineTunedModel }: StoredJob,
): Told {
  const share = totalSteps === null || totalSteps === 0 ? 0 : Math.min(1, step / totalSteps);
  return {
    status,
    progress: status === "completed" ? 1 : share,
    error: error?.message ?? null,
    metadata: {
      base_model: model,
      training_file: trainingFile,
      validation_file: validationFile,
      fine_tuned_model: fineTunedModel,
      step,
      total_steps: totalSteps,
    },
  };
}
