/**
 * What clients are told of the errors of stores. Their messages hold names of buckets, paths and advice to the operator, so
 * none of them is passed on.
 *
 * @module
 */
import {
  StorageBucketError,
  StorageConflictError,
  StorageDamagedError,
  StorageDeniedError,
  StorageInterruptedError,
  StorageNotFoundError,
} from "../src/errors.ts";
import { ApiError } from "./errors.ts";

/** What the work gives; its failures are refusals. @throws {ApiError} */
export async function fromStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storeRefusal(error);
  }
}

/** The refusal for an error of a store. What is none comes back as it is. */
export function storeRefusal(error: unknown): unknown {
  const refusal = refusalFor(error);
  if (refusal) refusal.cause = error; // for the log
  return refusal ?? error;
}

function refusalFor(error: unknown): ApiError | null {
  if (error instanceof StorageNotFoundError) {
    return new ApiError(404, "There is no such file.", { code: "file_not_found" });
  }
  if (error instanceof StorageConflictError) {
    const message =
      "The file is not what the condition says: somebody else wrote it. Look at it again, then decide.";
    return new ApiError(412, message, { code: "precondition_failed" });
  }
  if (error instanceof StorageBucketError) {
    return new ApiError(502, "The store does not know the bucket that the operator named.", {
      code: "no_bucket",
    });
  }
  if (error instanceof StorageDeniedError) {
    return new ApiError(502, "The store does not let the server do this.", { code: "store_denied" });
  }
  if (error instanceof StorageDamagedError) {
    return new ApiError(502, "The store has other bytes than were sent. Send them again.", {
      code: "damaged",
    });
  }
  if (error instanceof StorageInterruptedError) {
    const details = { code: "store_unavailable", retryAfter: 5 };
    return new ApiError(503, "The store does not answer. Try again later.", details);
  }
  const isUnfit = error instanceof RangeError ||
    (error instanceof Error && /os error (20|21|36)\b/.test(error.message)); // a file for a folder, or too long a name
  return isUnfit ? new ApiError(400, "No file can have this name there.", { code: "invalid_path" }) : null;
}
