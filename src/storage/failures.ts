/**
 * The errors of object stores, worded alike. What a service or a network library says is shown only where it cannot
 * hold a secret: never a header, a query or a path of a request.
 *
 * @module
 */
import {
  StorageBucketError,
  StorageConflictError,
  StorageDeniedError,
  StorageInterruptedError,
  StorageNotFoundError,
} from "../errors.ts";
import { logger } from "../logger.ts";
import { STALL_MS, StallError, type Watch, watched } from "./stall.ts";

/** What was being done, to which URI. */
export interface Attempt {
  readonly verb: "read" | "write" | "list" | "remove" | "look at";
  readonly uri: string;
  /** How long nothing may move, ms. Default {@link STALL_MS}. */
  readonly stallMs?: number | undefined;
}

/** How to get in, for each kind of store. */
export interface Advice {
  /** What to set or ask for when a request is denied. */
  readonly denied: string;
  /** What a bucket is called. */
  readonly bucket: string;
}

export function notFound({ verb, uri }: Attempt): StorageNotFoundError {
  return new StorageNotFoundError(`Cannot ${verb} "${uri}" as it is not there: check the name`);
}

export function noBucket({ verb, uri }: Attempt, { bucket }: Advice): StorageBucketError {
  return new StorageBucketError(
    `Cannot ${verb} "${uri}" as there is no such ${bucket}: check its name, or create it first`,
  );
}

export function denied({ verb, uri }: Attempt, { denied }: Advice, status: number): StorageDeniedError {
  const why = status === 401 ? "the service wants credentials" : "these credentials do not allow it";
  return new StorageDeniedError(`Cannot ${verb} "${uri}" as ${why} (status ${status}): ${denied}`);
}

export function conflict({ verb, uri }: Attempt): StorageConflictError {
  const was = verb === "read" ? "changed since it was looked at" : "not what the condition says";
  return new StorageConflictError(
    `Cannot ${verb} "${uri}" as it is ${was}: somebody else wrote it; look at it again, then decide`,
  );
}

export function interrupted({ verb, uri }: Attempt, why: string): StorageInterruptedError {
  return new StorageInterruptedError(
    `Cannot ${verb} "${uri}" as ${why}: check the network and the service, then try again`,
  );
}

/**
 * The error for a status of HTTP that says neither done nor go on.
 *
 * @param missingBucket Whether the service said that a 404 is about the bucket.
 */
export function statusFailure(
  attempt: Attempt,
  advice: Advice,
  status: number,
  missingBucket = false,
): Error {
  if (status === 401 || status === 403) return denied(attempt, advice, status);
  if (status === 404) return missingBucket ? noBucket(attempt, advice) : notFound(attempt);
  if (status === 409 || status === 412 || status === 304) return conflict(attempt);
  if (status === 408 || status === 429 || status >= 500) {
    return interrupted(attempt, `the service answered with status ${status}`);
  }
  return new Error(`Cannot ${attempt.verb} "${attempt.uri}": the service answered with status ${status}`);
}

/** This process may not use the network. What is at hand may still be used. */
export class NoNetworkError extends StorageDeniedError {}

/** The error for a request that got no answer. An abort stays what it is. */
export function networkFailure(attempt: Attempt, error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof Error && error.name === "NotCapable") {
    return new NoNetworkError(
      `Cannot ${attempt.verb} "${attempt.uri}" as this program was started without the right to use the network: ` +
        "add --allow-net",
    );
  }
  if (error instanceof StallError) return interrupted(attempt, `${error.message} on its connection`);
  return interrupted(attempt, `the connection failed (${withoutAddresses(error)})`);
}

/** What an error says, its URLs cut to scheme and host, since paths and queries of requests may be secrets. */
export function withoutAddresses(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const short = text.replace(/\b([a-z]+:\/\/)(?:[^\s/@"'()]*@)?([^\s/?"'()]*)[^\s"'()]*/gi, "$1$2");
  return short.length > 200 ? `${short.slice(0, 200)}…` : short;
}

/** Bytes of a body, not watched on their way, that are waited for as long as for an answer: 32 KiB/s with {@link STALL_MS}. */
const UNSEEN_BYTES = 60 * (32 << 10);

/** How long nothing may move on a request that sends so many bytes without telling, ms. */
export function patienceMs({ stallMs = STALL_MS }: Attempt, unseenBytes: number): number {
  return Math.round(stallMs * (1 + unseenBytes / UNSEEN_BYTES));
}

/**
 * What a request over the network gives, unless nothing moves on it for too long; its failures are the project's.
 *
 * @param unseenBytes Bytes that it sends without telling: they are given time.
 */
export async function fetchFor<T>(
  attempt: Attempt,
  request: (watch: Watch) => Promise<T>,
  signal?: AbortSignal,
  unseenBytes = 0,
): Promise<T> {
  const start = performance.now();
  try {
    const answer = await watched(request, patienceMs(attempt, unseenBytes), signal);
    logRequest(attempt, start, answer instanceof Response ? answer.status : "ok");
    return answer;
  } catch (error) {
    const failure = networkFailure(attempt, error, signal);
    logRequest(attempt, start, failure instanceof Error ? failure.name : "stopped");
    throw failure;
  }
}

/** Logs one request; `outcome` is a status of HTTP, or a word. */
export function logRequest({ verb, uri }: Attempt, start: number, outcome: string | number): void {
  const ms = Math.round(performance.now() - start);
  logger("storage").debug("{verb} {uri}: {outcome} after {ms} ms", { verb, uri, outcome, ms });
}
