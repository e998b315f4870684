/**
 * Job records in Firestore, as the Python service wrote them, through the client library of Google, which is loaded at the
 * first update. Deno only.
 *
 * @module
 */
import process from "node:process";
import type { Firestore, Timestamp } from "@google-cloud/firestore";
import type { JobStatus } from "../job.ts";
import {
  FINAL_STATUSES,
  type JobMetadata,
  type JobRecord,
  type JobRecordStore,
  type JobUpdate,
} from "../job_tracker.ts";

/** Where the records are. */
export interface FirestoreOptions {
  /** Default: what Google's libraries find. */
  readonly projectId?: string | undefined;
  /** Default `jobs`. */
  readonly collection?: string | undefined;
  /** `HOST:PORT` of an emulator. Default: the variable FIRESTORE_EMULATOR_HOST. */
  readonly emulatorHost?: string | undefined;
}

/** A document, one for each job, named by the job's id. */
interface JobDocument {
  readonly status: JobStatus | "pending";
  readonly progress: number;
  readonly error: string | null;
  readonly metadata: JobMetadata;
  readonly created_at: Timestamp;
  readonly updated_at: Timestamp;
  readonly started_at: Timestamp | null;
  readonly completed_at: Timestamp | null;
  readonly heartbeat_at: Timestamp;
}

/** A collection of Firestore with a document for each job. */
export class FirestoreJobRecords implements JobRecordStore {
  readonly uri: string;
  readonly #options: FirestoreOptions;
  readonly #collection: string;
  readonly #known = new Set<string>();
  readonly #writing = new Set<Promise<void>>();
  #client: Promise<Firestore> | null = null;

  /** Takes where the records are; nothing is asked before the first update. */
  constructor(options: FirestoreOptions = {}) {
    this.#options = options;
    this.#collection = options.collection ?? "jobs";
    this.uri = `firestore:${options.projectId ?? ""}/${this.#collection}`;
  }

  async write(jobId: string, update: JobUpdate): Promise<void> {
    const writing = this.#write(jobId, update);
    this.#writing.add(writing);
    try {
      await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  async #write(jobId: string, update: JobUpdate): Promise<void> {
    const { at, status, progress, error, metadata } = update;
    const when = new Date(at);
    const document = (await this.#connected()).collection(this.#collection).doc(jobId);
    const fields = {
      updated_at: when,
      heartbeat_at: when,
      ...(status === undefined ? {} : { status: wordOf(status) }),
      ...(status === "running" ? { started_at: when } : {}),
      ...(status !== undefined && FINAL_STATUSES.includes(status) ? { completed_at: when } : {}),
      ...(progress === undefined ? {} : { progress }),
      ...(error === undefined ? {} : { error }),
      ...(metadata === undefined ? {} : { metadata }),
    };
    const isFirst = !this.#known.has(jobId) && !(await document.get()).exists;
    const first = { status: "pending", progress: 0, error: null, metadata: {}, created_at: when };
    const empty = { started_at: null, completed_at: null };
    await document.set(isFirst ? { ...first, ...empty, ...fields } : fields, { merge: true });
    this.#known.add(jobId);
  }

  async read(jobId: string): Promise<JobRecord | null> {
    const found = await (await this.#connected()).collection(this.#collection).doc(jobId).get();
    if (!found.exists) return null;
    const { status, progress, error, metadata, ...times } = found.data() as JobDocument;
    return {
      jobId,
      status: status === "pending" ? "queued" : status,
      progress,
      error,
      metadata,
      createdAt: times.created_at.toMillis(),
      updatedAt: times.updated_at.toMillis(),
      startedAt: times.started_at?.toMillis() ?? null,
      completedAt: times.completed_at?.toMillis() ?? null,
      heartbeatAt: times.heartbeat_at.toMillis(),
    };
  }

  /**
   * Ends the client, if one was made. One that still tries to write is ended when it gives up: the library rejects promises
   * that nobody can reach when a client of its is ended before.
   */
  async close(): Promise<void> {
    const end = async () => void await (await this.#client)?.terminate();
    if (this.#writing.size === 0) return await end();
    void Promise.allSettled(this.#writing).then(end).catch(() => {});
  }

  #connected(): Promise<Firestore> {
    return this.#client ??= this.#connect();
  }

  async #connect(): Promise<Firestore> {
    const { Firestore } = await import("@google-cloud/firestore");
    const { projectId, emulatorHost = process.env.FIRESTORE_EMULATOR_HOST } = this.#options;
    return new Firestore({
      ...(projectId ? { projectId } : {}),
      ...(emulatorHost
        ? { host: emulatorHost, ssl: false, customHeaders: { Authorization: "Bearer owner" } }
        : {}),
    });
  }
}

/** The Python service's word for a state. */
function wordOf(status: JobStatus): JobStatus | "pending" {
  return status === "queued" || status === "validating" ? "pending" : status;
}
