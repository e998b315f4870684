/**
 * The page's end of the worker: questions with answers, and the course of the running job.
 *
 * @module
 */
import type { ServerAccess } from "./lowrank_server.ts";
import type {
  NoteOf,
  PlainError,
  Question,
  Questions,
  RunMessage,
  Wire,
  WorkerCommand,
  WorkerMessage,
} from "./protocol.ts";

/** What is used of a worker. */
export type WorkerPort = Pick<Worker, "postMessage" | "addEventListener">;

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
  readonly #worker: WorkerPort;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(worker: WorkerPort) {
    this.#worker = worker;
    worker.addEventListener("message", (event) => this.#take((event as MessageEvent<WorkerMessage>).data));
    worker.addEventListener("error", (event) => this.#fail((event as ErrorEvent).message));
  }

  /** @throws {RefusedError} */
  ask<Q extends Question>(
    question: Q,
    input: Questions[Q]["input"],
    { signal, onNote = () => {} }: Asking<Q> = {},
  ): Promise<Questions[Q]["answer"]> {
    const id = ++this.#lastId;
    return new Promise((answered, refused) => {
      this.#waiting.set(id, { answered, refused, onNote });
      this.#send({ type: "ask", id, question, input });
      signal?.addEventListener("abort", () => this.#send({ type: "cancel", id }), { once: true });
    });
  }

  /** @param server Told how the run stands; null for nobody. */
  start(config: Wire, server: ServerAccess | null = null): void {
    this.#send({ type: "start", config, server });
  }

  stop(): void {
    this.#send({ type: "stop" });
  }

  finish(): void {
    this.#send({ type: "finish" });
  }

  #send(command: WorkerCommand): void {
    this.#worker.postMessage(command);
  }

  #take(message: WorkerMessage): void {
    if (message.type === "note") return this.#waiting.get(message.id)?.onNote(message.note as never);
    if (message.type !== "answer" && message.type !== "refused") return this.onRun(message);
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.type === "answer") waiting?.answered(message.value as never);
    else waiting?.refused(new RefusedError(message.error));
  }

  /** The worker is gone, with all that it was asked. */
  #fail(text: string): void {
    const message = `The worker cannot run: ${text || "its script did not load"}; reload the page`;
    const error: PlainError = { name: "Error", message, issues: [] };
    for (const { refused } of this.#waiting.values()) refused(new RefusedError(error));
    this.#waiting.clear();
    this.onRun({ type: "failed", error, resumable: null });
  }
}
