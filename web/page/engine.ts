/**
 * The page's end of the worker: questions with answers, and the course of the running job.
 *
 * @module
 */
import type { ServerAccess } from "../lowrank_server.ts";
import type { NoteOf, Question, Questions, RunMessage, WorkerCommand, WorkerMessage } from "../protocol.ts";
import type { Wire } from "../protocol/job.ts";
import type { PlainError } from "../protocol/plain_error.ts";
import type { LivingWorker } from "../worker_life.ts";

/** A question that the worker refused, or could not answer. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";

  constructor(readonly plain: PlainError) {
    super(plain.message);
  }
}

/** What may happen before the answer. */
export interface Asking<Q extends Question> {
  /** Takes the question back; it is refused then. */
  readonly signal?: AbortSignal;
  readonly onNote?: (note: NoteOf<Q>) => void;
}

interface Waiting {
  readonly answered: (value: never) => void;
  readonly refused: (error: RefusedError) => void;
  readonly onNote: (note: never) => void;
}

export class Engine {
  /** Told how the running job goes. */
  onRun: (message: RunMessage) => void = () => {};
  readonly #start: () => LivingWorker;
  readonly #server: () => ServerAccess | null;
  readonly #waiting = new Map<number, Waiting>();
  #worker: LivingWorker;
  #lastId = 0;
  #isRunning = false;
  /** Whether its script did not load: then it answers nothing. */
  #hasNoScript = false;

  /**
   * @param start Starts a worker: at once, and again if that one is gone.
   * @param server The page's server, and by which token; null where it has none.
   */
  constructor(start: () => LivingWorker, server: () => ServerAccess | null = () => null) {
    this.#start = start;
    this.#server = server;
    this.#worker = this.#begin();
  }

  /** @throws {RefusedError} */
  ask<Q extends Question>(
    question: Q,
    input: Questions[Q]["input"],
    { signal, onNote = () => {} }: Asking<Q> = {},
  ): Promise<Questions[Q]["answer"]> {
    const id = ++this.#lastId;
    if (this.#hasNoScript) return Promise.reject(new RefusedError(lost(noWorker())));
    return new Promise((answered, refused) => {
      this.#waiting.set(id, { answered, refused, onNote });
      this.#send({ type: "ask", id, question, input, server: this.#server() });
      signal?.addEventListener("abort", () => this.#send({ type: "cancel", id }), { once: true });
    });
  }

  /** @param onlyOneStep Stops at the next report of a step. */
  start(config: Wire, onlyOneStep = false): void {
    this.#isRunning = true;
    this.#send({ type: "start", config, server: this.#server(), onlyOneStep });
  }

  stop(): void {
    this.#send({ type: "stop" });
  }

  finish(): void {
    this.#send({ type: "finish" });
  }

  answerNow(): void {
    this.#send({ type: "answerNow" });
  }

  #begin(): LivingWorker {
    const worker = this.#start(), { port, ended } = worker;
    port.addEventListener("message", (event) => this.#take((event as MessageEvent<WorkerMessage>).data));
    port.addEventListener("error", (event) => {
      const { message } = event as ErrorEvent;
      this.#hasNoScript = !message; // else what failed was one thing that it did
      this.#fail(noWorker(message));
    });
    void ended.then(() => {
      this.#worker = this.#begin();
      this.#fail(
        "The worker was ended, as browsers do where memory is short: what was saved is kept; go on from there",
      );
    });
    return worker;
  }

  #send(command: WorkerCommand): void {
    this.#worker.port.postMessage(command);
  }

  #take(message: WorkerMessage): void {
    if (message.type === "note") return this.#waiting.get(message.id)?.onNote(message.note as never);
    if (message.type !== "answer" && message.type !== "refused") {
      this.#isRunning = message.type === "event";
      return this.onRun(message);
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.type === "answer") waiting?.answered(message.value as never);
    else waiting?.refused(new RefusedError(message.error));
  }

  /** The worker is gone, with all that it was asked and did. */
  #fail(message: string): void {
    const error = lost(message);
    for (const { refused } of this.#waiting.values()) refused(new RefusedError(error));
    this.#waiting.clear();
    if (this.#isRunning) this.#take({ type: "failed", error, resumable: null });
  }
}

function noWorker(reason = ""): string {
  return `The worker cannot run: ${reason || "its script did not load"}; reload the page`;
}

function lost(message: string): PlainError {
  return { name: "WorkerLostError", message, issues: [] };
}
