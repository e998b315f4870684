/**
 * `lowrank serve` as the page uses it: its jobs, the files that runs go on from, and the records of runs elsewhere.
 *
 * @module
 */
import type { OnBadLine } from "../src/data/problems.ts";
import type { JobRecord, JobRecordStore, JobUpdate } from "../src/job_tracker.ts";
import { linesOf } from "../src/text_lines.ts";

/** Where the server is, and who asks. */
export interface ServerAccess {
  /** Absolute, with a slash at its end. */
  readonly api: string;
  /** Empty where the server asks for none. */
  readonly token: string;
}

/** A job of the server, as far as the page shows it. */
export interface ServerJob {
  readonly id: string;
  readonly status:
    | "queued"
    | "validating_files"
    | "running"
    | "paused"
    | "succeeded"
    | "failed"
    | "cancelled";
  readonly model: string;
  /** Seconds since 1970. */
  readonly created_at: number;
  readonly user_provided_suffix: string | null;
  readonly fine_tuned_model: string | null;
  readonly error: { readonly message: string } | null;
}

/** A model that jobs and answers start from. */
export interface ServerModel {
  readonly id: string;
  /** `base`, or who made it. */
  readonly owned_by: string;
}

/** What the server tells while a job runs. */
export interface ServerEvent {
  /** Number of the event, from 1. */
  readonly seq: number;
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>> | null;
}

/** A file of a run, by its path in the run's folder. */
export interface ServerRunFile {
  readonly path: string;
  readonly bytes: number;
}

/** A job to create. */
export interface NewServerJob {
  readonly model: string;
  readonly training_file: string;
  readonly validation_file: string | null;
  readonly suffix: string;
  readonly seed: number;
  /** Waits to be resumed. */
  readonly paused: boolean;
  readonly options: Readonly<Record<string, unknown>>;
}

/** The server says no, in its own words, or nothing at all. */
export class ServerError extends Error {
  override readonly name = "ServerError";

  /** @param status Of the answer; 0 where none came. */
  constructor(readonly status: number, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

interface Sent {
  readonly body?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const JOBS = "v1/fine_tuning/jobs";

export class LowrankServer implements JobRecordStore {
  readonly uri: string;
  readonly #access: ServerAccess;

  constructor(access: ServerAccess) {
    this.#access = access;
    this.uri = `${access.api}api/jobs`;
  }

  /** Paths of the places of buckets that the caller may read. @throws {ServerError} */
  async places(): Promise<string[]> {
    return (await this.#json<{ data: { path: string }[] }>("GET", "api/storage")).data.map(({ path }) =>
      path
    );
  }

  /** The latest first. @throws {ServerError} */
  async jobs(): Promise<ServerJob[]> {
    return (await this.#json<{ data: ServerJob[] }>("GET", `${JOBS}?limit=50`)).data;
  }

  /** Base models, then fine-tuned ones. */
  async models(): Promise<ServerModel[]> {
    return (await this.#json<{ data: ServerModel[] }>("GET", "v1/models")).data;
  }

  job(id: string): Promise<ServerJob> {
    return this.#json("GET", `${JOBS}/${id}`);
  }

  /** @throws {ServerError} Of status 400 if the job is in a state where this cannot be. */
  move(id: string, verb: "pause" | "resume" | "cancel"): Promise<ServerJob> {
    return this.#json("POST", `${JOBS}/${id}/${verb}`);
  }

  create({ options, ...job }: NewServerJob): Promise<ServerJob> {
    const method = { type: "supervised", supervised: { hyperparameters: options } };
    return this.#json("POST", JOBS, {
      body: JSON.stringify({ ...job, method }),
      headers: { "content-type": "application/json" },
    });
  }

  /**
   * Uploads data to train on; gives the file's id.
   *
   * @param onBadLine What the job does with lines that cannot be used; the server refuses them otherwise.
   */
  async upload(name: string, content: Blob, onBadLine: OnBadLine = "fail"): Promise<string> {
    const form = new FormData();
    form.append("purpose", "fine-tune");
    if (onBadLine === "skip") form.append("on_bad_line", onBadLine);
    form.append("file", content, name);
    return (await this.#json<{ id: string }>("POST", "v1/files", { body: form })).id;
  }

  /** @throws {ServerError} Of status 409 while the job has a process. */
  async runFiles(id: string): Promise<ServerRunFile[]> {
    return (await this.#json<{ data: ServerRunFile[] }>("GET", `api/runs/${id}/files`)).data;
  }

  async readRunFile(id: string, path: string): Promise<ReadableStream<Uint8Array>> {
    return (await this.#answer("GET", `api/runs/${id}/files/${path}`)).body!;
  }

  async writeRunFile(id: string, path: string, content: Blob): Promise<void> {
    await this.#json("PUT", `api/runs/${id}/files/${path}`, { body: content });
  }

  /** Events after one, as they happen, until the job is over or the connection is. @throws {ServerError} */
  async *events(id: string, after: number, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const headers = { accept: "text/event-stream", "last-event-id": String(after) };
    const { body } = await this.#answer("GET", `${JOBS}/${id}/events`, { headers, signal });
    let fields: Record<string, string> = {};
    const lines = linesOf(body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
    for (let read = await lines.read(); !read.done; read = await lines.read()) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(read.value) ?? [];
      if (name !== undefined) fields[name] = value!;
      if (read.value !== "") continue;
      if (fields.event === "done") return;
      if (fields.data !== undefined) yield { ...JSON.parse(fields.data), seq: Number(fields.id) };
      fields = {};
    }
  }

  async write(jobId: string, { status, progress, error, metadata }: JobUpdate): Promise<void> {
    await this.#json("PATCH", `api/jobs/${jobId}`, {
      body: JSON.stringify({ status, progress, error, metadata }),
      headers: { "content-type": "application/json" },
    });
  }

  /** The page only tells; who wants to know asks the server. */
  read(): Promise<JobRecord | null> {
    return Promise.resolve(null);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #json<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
    return await (await this.#answer(method, path, sent)).json();
  }

  async #answer(method: string, path: string, { headers = {}, ...sent }: Sent = {}): Promise<Response> {
    const { api, token } = this.#access;
    const authorization = token === "" ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`${api}${path}`, {
      method,
      headers: { ...headers, ...authorization },
      ...sent,
    })
      .catch((cause) => {
        if (sent.signal?.aborted) throw cause;
        throw new ServerError(0, "The server does not answer: see whether it runs, and try again.", {
          cause,
        });
      });
    if (response.ok) return response;
    const refusal = await response.json().catch(() => ({}));
    const words = refusal.error?.message ?? refusal.detail ?? `${response.status} ${response.statusText}`;
    throw new ServerError(response.status, `The server refuses: ${words}`);
  }
}
