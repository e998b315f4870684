/**
 * The server's jobs as the page knows them: listed now and then, and one of them followed.
 *
 * @module
 */
import { signal } from "@preact/signals";
import {
  LowrankServer,
  type ServerAccess,
  ServerError,
  type ServerEvent,
  type ServerJob,
} from "./lowrank_server.ts";
import { type PlainError, plainError } from "./protocol.ts";
import { RunState } from "./run_state.ts";

/** Between two looks at the list, and before a stream that was cut is followed again. */
const LOOK_MS = 3000;

/** Kept until the tab is closed. */
const TOKEN_KEY = "lowrank token";

/** States that a job does not leave. */
const OVER = ["succeeded", "failed", "cancelled"];

/** A job that is followed: how it stands, and its curves. */
export interface FollowedJob {
  readonly job: ServerJob;
  readonly run: RunState;
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
  readonly #api: string;
  #token = savedToken();

  /** @param api Absolute address, with a slash at its end. */
  constructor(api: string) {
    this.#api = api;
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
    await this.#told(async (server) => this.#took(await server.move(id, verb)));
  }

  /** Follows a job from its first event on, until it is over. @returns What ends it. */
  follow(id: string): () => void {
    const stop = new AbortController();
    this.followed.value = null;
    void this.#follow(id, stop.signal);
    return () => stop.abort();
  }

  async #follow(id: string, signal: AbortSignal): Promise<void> {
    let seq = 0, run: RunState | null = null;
    while (!signal.aborted) {
      const isDone = await this.#told(async (server) => {
        const job = await server.job(id);
        run ??= new RunState(job.user_provided_suffix ?? id, {});
        if (signal.aborted) return true;
        this.followed.value = { job, run };
        for await (const event of server.events(id, seq, signal)) {
          seq = event.seq;
          tellRun(run, event);
          if (event.data?.step === undefined) this.#took(await server.job(id));
        }
        const now = await server.job(id);
        this.#took(now);
        run.tellSummary();
        return isOver(now);
      }, signal);
      if (isDone) return;
      await new Promise((wake) => setTimeout(wake, LOOK_MS));
    }
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
      this.problem.value = plainError(error);
      return null;
    }
  }
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

/** Has a run take what the server's event tells, as if it had told that itself. */
function tellRun(run: RunState, { level, message, data }: ServerEvent): void {
  const number = (name: string) => typeof data?.[name] === "number" ? data[name] : NaN;
  const [step, epoch] = [number("step"), number("epoch")];
  if (data && "train_loss" in data) {
    const [totalSteps, tokens] = [number("total_steps"), number("tokens")];
    const tokensPerSecond = number("tokens_per_second");
    run.totalSteps.value = totalSteps;
    return run.take({
      type: "step",
      ...{ step, totalSteps, epoch, tokens, tokensPerSecond },
      loss: number("train_loss"),
      learningRate: number("learning_rate"),
      gradNorm: number("grad_norm"),
      ...share(data.train_mean_token_accuracy, "tokenAccuracy"),
      trainedTokens: NaN, // which the server does not tell, nor the page show
      etaSeconds: (totalSteps - step) * tokens / step / tokensPerSecond,
    });
  }
  if (data && "full_valid_loss" in data) {
    const evalLoss = number("full_valid_loss");
    const accuracy = share(data.full_valid_mean_token_accuracy, "evalTokenAccuracy");
    return run.take({ type: "evaluated", step, epoch, evalLoss, evalTokens: NaN, ...accuracy });
  }
  run.note(level === "info" ? message : `${level}: ${message}`);
}

function share<K extends string>(value: unknown, name: K): { [key in K]?: number } {
  return typeof value === "number" ? { [name]: value } as { [key in K]: number } : {};
}
