/**
 * The line before the one model that generates: first come, first served, and no longer than a bound. When nobody has asked
 * for a while, the model's memory is given back.
 *
 * @module
 */
import { ApiError } from "./errors.ts";
import {
  type GenerationEvent,
  type GenerationOrder,
  isServersFault,
  type TextGenerator,
} from "./generation.ts";

/** How the line is kept. */
export interface GenerationQueueOptions {
  /** Requests at a time: one that is answered, the others wait. */
  readonly mostRequests: number;
  /** Milliseconds without a request after which the model is unloaded. */
  readonly idleMs: number;
  /** For what clients are not told. */
  readonly logFailure: (message: string, error: unknown) => void;
}

export class GenerationQueue {
  readonly #generator: TextGenerator;
  readonly #options: GenerationQueueOptions;
  readonly #closing = new AbortController();
  /** Ends when the last in line has had its turn. */
  #last: Promise<unknown> = Promise.resolve();
  #requests = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;
  /** Seconds that a turn took lately. */
  #secondsPerTurn = 1;

  constructor(generator: TextGenerator, options: GenerationQueueOptions) {
    this.#generator = generator;
    this.#options = options;
  }

  /** Requests that are answered or wait. */
  get requests(): number {
    return this.#requests;
  }

  /**
   * Waits for its turn and generates. A request whose signal is aborted leaves the line.
   *
   * @throws {ApiError} 429 where the line is full, 503 where the server stops. @throws As {@link TextGenerator.generate}.
   */
  async *run(order: GenerationOrder, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    if (this.#closing.signal.aborted) throw stopping();
    if (this.#requests >= this.#options.mostRequests) throw this.#full();
    this.#requests++;
    clearTimeout(this.#idle);
    const before = this.#last, { promise: turn, resolve: over } = Promise.withResolvers<void>();
    this.#last = turn;
    const either = AbortSignal.any([signal, this.#closing.signal]);
    try {
      await untilAborted(before, either);
      const from = performance.now();
      yield* this.#generator.generate(order, either);
      this.#secondsPerTurn = (performance.now() - from) / 1000;
    } catch (error) {
      if (this.#closing.signal.aborted && !signal.aborted) throw stopping();
      if (!either.aborted && isServersFault(error)) this.#options.logFailure("generating text", error);
      throw error;
    } finally {
      void before.then(() => over()); // whoever gives up while waiting lets nobody past those before
      if (--this.#requests === 0 && !this.#closing.signal.aborted) this.#unloadLater();
    }
  }

  /** Stops what is being generated and refuses the rest. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#idle);
    await this.#last;
    await this.#generator.close();
  }

  #unloadLater(): void {
    this.#idle = setTimeout(() => {
      this.#last = this.#last.then(() => this.#generator.close()).catch((error) => {
        this.#options.logFailure("unloading the model", error);
      });
    }, this.#options.idleMs);
  }

  #full(): ApiError {
    const { mostRequests } = this.#options;
    const retryAfter = Math.min(60, Math.max(1, Math.ceil(this.#secondsPerTurn * mostRequests / 2)));
    const message =
      `The model is busy: ${mostRequests} requests are under way. Try again in ${retryAfter} s.`;
    return new ApiError(429, message, { code: "rate_limit_exceeded", retryAfter });
  }
}

function stopping(): ApiError {
  return new ApiError(503, "The server is stopping.", { retryAfter: 5 });
}

/** @throws The signal's reason, as soon as it is aborted. */
async function untilAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
