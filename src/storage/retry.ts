/**
 * Trying again what may pass, with growing pauses.
 *
 * @module
 */
import { StorageInterruptedError } from "../errors.ts";
import { logger } from "../logger.ts";

/** When to give up. */
export interface RetryPolicy {
  /** Tries in a row without progress. */
  readonly attempts: number;
  /** Before the second try; doubled after each, up to 30 times as much. Between half of it and all of it is waited. */
  readonly pauseMs: number;
  /** A request on which nothing moves for so long has failed. Default 60,000. */
  readonly stallMs?: number;
}

export const DEFAULT_RETRIES: RetryPolicy = { attempts: 6, pauseMs: 250 };

/** Resolves after a while. @throws The signal's reason, at once. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted) return Promise.reject(signal.reason);
  const timer = setTimeout(() => {
    signal?.removeEventListener("abort", stop);
    resolve();
  }, ms);
  const stop = () => {
    clearTimeout(timer);
    reject(signal!.reason);
  };
  signal?.addEventListener("abort", stop, { once: true });
  return promise;
}

/** Counts failures in a row. */
export class Retries {
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;

  constructor(policy: RetryPolicy, signal: AbortSignal | undefined) {
    this.#policy = policy;
    this.#signal = signal;
  }

  /** Something came through: failures before it no longer count. */
  progress(): void {
    this.#failures = 0;
  }

  /** Waits, or throws the error if it will not pass or too many came in a row. */
  async after(error: unknown): Promise<void> {
    if (!(error instanceof StorageInterruptedError) || ++this.#failures >= this.#policy.attempts) throw error;
    const { pauseMs } = this.#policy;
    const longest = Math.min(pauseMs * 2 ** (this.#failures - 1), pauseMs * 30);
    const waitMs = Math.round(longest * (0.5 + Math.random() / 2));
    logger("storage").info("try {attempt} of {attempts} failed, next in {pauseMs} ms: {problem}", {
      attempt: this.#failures,
      attempts: this.#policy.attempts,
      pauseMs: waitMs,
      problem: error.message,
    });
    await pause(waitMs, this.#signal);
  }
}

/** What the work gives, tried again after each `StorageInterruptedError`. */
export async function retried<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  work: (attempt: number) => Promise<T>,
): Promise<T> {
  const retries = new Retries(policy, signal);
  for (let attempt = 0;; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      await retries.after(error);
    }
  }
}
