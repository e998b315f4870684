/**
 * Requests on which nothing moves any more: a network that loses everything tells nobody, and a connection that broke may not
 * be told of either. They are given up, and tried again as others that failed.
 *
 * @module
 */

/** How long nothing may move, ms. */
export const STALL_MS = 60_000;

/** Nothing moved for too long. */
export class StallError extends Error {
  constructor(stallMs: number) {
    super(`nothing moved for ${stallMs / 1000} s`);
  }
}

/** What a request is given. */
export interface Watch {
  /** Aborted by whoever asked, and when nothing moved for too long. */
  readonly signal: AbortSignal;
  /** To be called as bytes move; what never calls it has the limit for all of it. */
  readonly moved: () => void;
}

/**
 * What a request gives, unless nothing moves for `stallMs`. The request is left then, also where it heeds no signal.
 *
 * @throws {StallError} @throws The signal's reason, at once.
 */
export async function watched<T>(
  request: (watch: Watch) => Promise<T>,
  stallMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  signal?.throwIfAborted();
  const stalled = new AbortController();
  const either = signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal;
  const { promise: left, reject } = Promise.withResolvers<never>();
  const leave = () => reject(either.reason);
  either.addEventListener("abort", leave, { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const moved = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(new StallError(stallMs)), stallMs);
  };
  moved();
  try {
    return await Promise.race([request({ signal: either, moved }), left]);
  } finally {
    clearTimeout(timer);
    either.removeEventListener("abort", leave);
  }
}
