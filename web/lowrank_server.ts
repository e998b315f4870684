/**
 * `lowrank serve` as the page uses it: its jobs, the files that runs go on from, and the records of runs elsewhere.
 *
 * @module
 */
import type { Message } from "../src/data/formats.ts";
import type { OnBadLine } from "../src/data/problems.ts";
import type { JobRecord, JobRecordStore, JobUpdate } from "../src/job_tracker.ts";
import type { RunRecord } from "../src/run_files.ts";
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
  readonly training_file: string;
  readonly validation_file: string | null;
  /** Ids of what it has left, for those who may read files. */
  readonly result_files: readonly string[];
}

/** A file that the server keeps. */
export interface ServerFile {
  readonly id: string;
  readonly filename: string;
  readonly bytes: number;
}

/** A checkpoint that is on the server's disk. */
export interface ServerCheckpoint {
  readonly step_number: number;
}

/** What a job runs with, and its record. */
export interface ServerRun {
  /** By wire name, without those that name places of the server. */
  readonly options: Readonly<Record<string, unknown>>;
  /** As run.json has it; null before the run began. */
  readonly record: RunRecord | null;
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
  readonly type: "message" | "metrics";
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

/** A conversation to answer, or a text to go on from. */
export interface TextRequest {
  readonly model: string;
  readonly messages?: readonly Message[];
  readonly prompt?: string;
  readonly temperature: number;
  readonly seed: number;
  readonly max_tokens: number;
}

/** A part of an answer. */
export interface TextPiece {
  readonly text: string;
  readonly tokens: number;
  /** Why the answer ends here; null while it goes on. */
  readonly end: "stop" | "length" | null;
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

/** A stream of events shows that it is alive every 15 seconds; after so long without that it no longer is, milliseconds. */
const SILENCE_MS = 45_000;

export class LowrankServer implements JobRecordStore {
  readonly uri: string;
  readonly #access: ServerAccess;
  readonly #silenceMs: number;

  /** @param silenceMs After which a stream of events is given up. */
  constructor(access: ServerAccess, silenceMs = SILENCE_MS) {
    this.#access = access;
    this.#silenceMs = silenceMs;
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

  run(id: string): Promise<ServerRun> {
    return this.#json("GET", `api/runs/${id}`);
  }

  /** The latest first. */
  async checkpoints(id: string): Promise<ServerCheckpoint[]> {
    return (await this.#json<{ data: ServerCheckpoint[] }>("GET", `${JOBS}/${id}/checkpoints?limit=100`))
      .data;
  }

  file(id: string): Promise<ServerFile> {
    return this.#json("GET", `v1/files/${id}`);
  }

  async fileContent(id: string): Promise<ReadableStream<Uint8Array>> {
    return (await this.#answer("GET", `v1/files/${id}/content`)).body!;
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
    const next = () => this.#soon(lines, signal);
    for (let read = await next(); !read.done; read = await next()) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(read.value) ?? [];
      if (name !== undefined) fields[name] = value!;
      if (read.value !== "") continue;
      if (fields.event === "done") return;
      if (fields.data !== undefined) yield { ...JSON.parse(fields.data), seq: Number(fields.id) };
      fields = {};
    }
  }

  /** A model's answer as it comes. @throws {ServerError} */
  async *answer(request: TextRequest, signal: AbortSignal): AsyncGenerator<TextPiece> {
    const { body } = await this.#answer("POST", request.messages ? "v1/chat/completions" : "v1/completions", {
      body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
      headers: { "content-type": "application/json" },
      signal,
    });
    const lines = linesOf(body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
    let told = 0, end: TextPiece["end"] = null;
    for (let read = await lines.read(); !read.done; read = await lines.read()) {
      const data = /^data: ?(\{.*)$/.exec(read.value)?.[1];
      if (data === undefined) continue;
      const { error, choices: [choice] = [], usage } = JSON.parse(data);
      if (error) throw new ServerError(0, `The server gave up: ${error.message}`);
      const text: string = choice?.delta?.content ?? choice?.text ?? "";
      if (text !== "") yield { text, tokens: 1, end: null };
      if (text !== "") told++;
      end = choice?.finish_reason ?? end;
      // a piece of text may stand for several tokens, and the end for one that has none
      if (usage) yield { text: "", tokens: usage.completion_tokens - told, end };
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

  /** The next line. @throws {ServerError} If the connection broke, or nothing came for long. */
  async #soon(
    lines: ReadableStreamDefaultReader<string>,
    signal: AbortSignal,
  ): Promise<ReadableStreamReadResult<string>> {
    let isSilent = false;
    const timer = setTimeout(() => {
      isSilent = true;
      void lines.cancel();
    }, this.#silenceMs);
    try {
      const read = await lines.read();
      if (!isSilent) return read;
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new ServerError(0, "The connection to the server broke.", { cause });
    } finally {
      clearTimeout(timer);
    }
    throw new ServerError(0, "The connection to the server has fallen silent.");
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
    if (response.status === 401) {
      throw new ServerError(
        401,
        token === ""
          ? "The server wants a token: give it one under Server."
          : "The server does not know this token: see whether it is whole, or make another by lowrank token create.",
      );
    }
    const refusal = await response.json().catch(() => ({}));
    const words = refusal.error?.message ?? refusal.detail ?? `${response.status} ${response.statusText}`;
    throw new ServerError(response.status, `The server refuses: ${words}`);
  }
}
