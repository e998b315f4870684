/**
 * The server's jobs as the page knows them: listed now and then, and one of them followed.
 *
 * @module
 */
import { signal } from "@preact/signals";
import {
  LowrankServer,
  type ServerAccess,
  type ServerCheckpoint,
  ServerError,
  type ServerFile,
  type ServerJob,
} from "../lowrank_server.ts";
import type { Wire } from "../protocol/job.ts";
import { type PlainError, plainError } from "../protocol/plain_error.ts";
import { pickTarget, saveAs, saveFrom } from "./download.ts";
import { lateCall } from "./late_call.ts";
import { RunState, type RunStatus } from "./run_state.ts";
import { tellRun } from "./server_events.ts";

/** Between two looks at the list, and before a stream that was cut is followed again. */
const LOOK_MS = 3000;

/** After an event that may have changed the job, or what it holds. */
const SETTLED_MS = 200;

/** Kept until the tab is closed. */
const TOKEN_KEY = "lowrank token";

/** Larger files are written as they come, where the browser lets it, bytes. */
const MOST_IN_MEMORY = 64e6;

/** States that a job does not leave. */
const OVER = ["succeeded", "failed", "cancelled"];

/** How a run stands whose job is in a state. */
const RUN_STATES: Readonly<Record<ServerJob["status"], RunStatus>> = {
  queued: "starting",
  validating_files: "starting",
  running: "running",
  paused: "paused",
  succeeded: "completed",
  failed: "failed",
  cancelled: "paused",
};

/** A job that is followed: how it stands, its curves, and what it holds. */
export interface FollowedJob {
  readonly job: ServerJob;
  readonly run: RunState;
  /** Options that were given. */
  readonly options: Wire;
  /** The latest first. */
  readonly checkpoints: readonly ServerCheckpoint[];
  /** What the server offers of a job that is over. */
  readonly files: readonly ServerFile[];
}

export class ServerJobs {
  /** The latest first; null before the first answer. */
  readonly jobs = signal<readonly ServerJob[] | null>(null);
  readonly followed = signal<FollowedJob | null>(null);
  /** Why the server was not heard last. */
  readonly problem = signal<PlainError | null>(null);
  /** Places of buckets that may be read; empty until it is known, and where there are none. */
  readonly places = signal<readonly string[]>([]);
  /** Whether the server wants another token than the one it was given. */
  readonly needsToken = signal(false);
  /** Whether a job is followed whose events have been cut off, and are asked for again. */
  readonly isRetrying = signal(false);
  /** Id of the file that is being fetched; null for none. */
  readonly saving = signal<string | null>(null);
  readonly #api: string;
  #token = savedToken();

  /** @param api Absolute address, with a slash at its end. */
  constructor(api: string) {
    this.#api = api;
  }

  /** Whether it has been given a token. */
  get hasToken(): boolean {
    return this.#token !== "";
  }

  get access(): ServerAccess {
    return { api: this.#api, token: this.#token };
  }

  /** Takes another token, and looks whether the server does too. */
  async setToken(token: string): Promise<void> {
    this.#token = token.trim();
    try {
      sessionStorage.setItem(TOKEN_KEY, this.#token);
    } catch {
      // until the page is closed, then
    }
    await Promise.all([this.look(), this.lookForPlaces()]);
  }

  /** Asks which places may be read. A server that refuses has none. */
  async lookForPlaces(): Promise<void> {
    this.places.value = await new LowrankServer(this.access).places().catch(() => []);
  }

  /** Lists the jobs. */
  async look(): Promise<void> {
    await this.#told(async (server) => {
      this.jobs.value = await server.jobs();
    });
  }

  /** Lists the jobs now and again. @returns What ends it. */
  watch(): () => void {
    void this.look();
    const timer = setInterval(() => void this.look(), LOOK_MS);
    return () => clearInterval(timer);
  }

  async move(id: string, verb: "pause" | "resume" | "cancel"): Promise<void> {
    const needsToken = this.needsToken.value;
    await this.#told(async (server) => this.#took(await server.move(id, verb)));
    this.needsToken.value = needsToken; // one that may only look shows as much as before
  }

  /** Follows a job from its first event on, until it is over. @returns What ends it. */
  follow(id: string): () => void {
    const stop = new AbortController();
    this.followed.value = null;
    void this.#follow(id, stop.signal);
    return () => {
      stop.abort();
      this.isRetrying.value = false;
    };
  }

  /** Hands a file to the user. Without a token the browser fetches it by itself, however large it is. */
  async save({ id, filename, bytes }: ServerFile): Promise<void> {
    if (!this.hasToken) return saveFrom(`${this.#api}v1/files/${id}/content`, filename);
    const target = bytes > MOST_IN_MEMORY ? await pickTarget(filename) : null;
    if (target === undefined) return;
    this.saving.value = id;
    await this.#told(async (server) => {
      const content = await server.fileContent(id);
      if (target) await content.pipeTo(await target.createWritable());
      else saveAs(await new Response(content).blob(), filename);
    });
    this.saving.value = null;
  }

  async #follow(id: string, signal: AbortSignal): Promise<void> {
    let seq = 0, run: RunState | null = null;
    const look = lateCall(async () => {
      if (!signal.aborted) await this.#told((server) => this.#look(server, id), signal);
    }, SETTLED_MS);
    while (!signal.aborted) {
      const isDone = await this.#told(async (server) => {
        const job = await server.job(id);
        run ??= new RunState(job.user_provided_suffix ?? id, (await server.run(id)).options);
        if (signal.aborted) return true;
        this.followed.value ??= { job, run, options: run.config, checkpoints: [], files: [] };
        await this.#look(server, id);
        this.problem.value = null;
        this.isRetrying.value = false;
        for await (const event of server.events(id, seq, signal)) {
          seq = event.seq;
          tellRun(run, event);
          if (event.type === "message") look();
        }
        const now = await this.#look(server, id);
        run.tellSummary();
        return isOver(now);
      }, signal);
      this.isRetrying.value = isDone === null && !signal.aborted && !this.needsToken.value;
      if (isDone) return;
      await new Promise((wake) => setTimeout(wake, LOOK_MS));
    }
  }

  /** How the followed job stands, and what it holds. */
  async #look(server: LowrankServer, id: string): Promise<ServerJob> {
    const [job, checkpoints] = await Promise.all([server.job(id), server.checkpoints(id)]);
    if (this.followed.value?.job.id === id) this.followed.value.run.status.value = RUN_STATES[job.status];
    const known = this.followed.value?.files ?? [];
    const files = await Promise.all(
      job.result_files.map(async (file) => known.find(({ id }) => id === file) ?? await fileOf(server, file)),
    ).then((found) => found.filter((file) => file !== null));
    if (this.followed.value?.job.id === id) {
      this.followed.value = { ...this.followed.value, checkpoints, files };
    }
    this.#took(job);
    return job;
  }

  #took(job: ServerJob): void {
    if (this.followed.value?.job.id === job.id) this.followed.value = { ...this.followed.value, job };
    this.jobs.value = this.jobs.value?.map((one) => one.id === job.id ? job : one) ?? null;
  }

  async #told<T>(act: (server: LowrankServer) => Promise<T>, signal?: AbortSignal): Promise<T | null> {
    try {
      const result = await act(new LowrankServer(this.access));
      this.problem.value = null;
      this.needsToken.value = false;
      return result;
    } catch (error) {
      if (signal?.aborted) return null;
      this.needsToken.value = error instanceof ServerError && [401, 403].includes(error.status);
      // that it wants one at all is no problem yet
      this.problem.value = this.needsToken.value && !this.hasToken ? null : plainError(error);
      return null;
    }
  }
}

/** Null for a file that is gone, or that this token may not see. */
async function fileOf(server: LowrankServer, id: string): Promise<ServerFile | null> {
  return await server.file(id).catch((error) => {
    if (error instanceof ServerError && [403, 404].includes(error.status)) return null;
    throw error;
  });
}

/** Whether a job is over. */
export function isOver({ status }: ServerJob): boolean {
  return OVER.includes(status);
}

function savedToken(): string {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  } catch {
    return "";
  }
}
