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
  type JobRecordPage,
  type JobRecordWatcher,
  type JobUpdate,
  type WatchableJobRecords,
} from "../job_tracker.ts";
import { byTime, cursorOf, isAfter, recordPage } from "./record_pages.ts";

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
export class FirestoreJobRecords implements WatchableJobRecords {
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
    return found.exists ? recordOf(jobId, found.data() as JobDocument) : null;
  }

  async list(
    { limit, pageToken }: { readonly limit: number; readonly pageToken?: string | null },
  ): Promise<JobRecordPage> {
    const cursor = cursorOf(pageToken);
    const latest = (await this.#connected()).collection(this.#collection).orderBy("created_at", "desc");
    // documents of the cursor's millisecond may be on either side of it: those are told apart here
    const wanted = cursor ? latest.where("created_at", "<", new Date(cursor.createdAt + 1)) : latest;
    for (let asked = limit + 1;; asked *= 2) {
      const { docs } = await wanted.limit(asked).get();
      const records = docs.map((found) => recordOf(found.id, found.data() as JobDocument))
        .filter((record) => isAfter(record, cursor)).sort(byTime);
      if (records.length > limit || docs.length < asked) return recordPage(records, limit);
    }
  }

  watch(jobId: string, watcher: JobRecordWatcher): () => void {
    let isWanted = true, stop = () => {};
    const begin = async () => {
      const document = (await this.#connected()).collection(this.#collection).doc(jobId);
      if (!isWanted) return;
      stop = document.onSnapshot(
        (found) => watcher.changed(found.exists ? recordOf(jobId, found.data() as JobDocument) : null),
        (error) => watcher.failed(error),
      );
    };
    begin().catch((error) => watcher.failed(error));
    return () => {
      isWanted = false;
      stop();
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

function recordOf(jobId: string, document: JobDocument): JobRecord {
  const { status, progress, error, metadata, ...times } = document;
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

/** The Python service's word for a state. */
function wordOf(status: JobStatus): JobStatus | "pending" {
  return status === "queued" || status === "validating" ? "pending" : status;
}
