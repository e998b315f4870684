/**
 * What the disk refuses, as errors that say what to do. Deno only.
 *
 * @module
 */
import { StorageDeniedError, StorageNotFoundError } from "../errors.ts";

/** No space on the disk, or none left of what the user may take. */
const FULL: readonly unknown[] = ["ENOSPC", "EDQUOT"];

/** The error a caller can act on, for one of the runtime's. Unknown ones come back as they are. */
export function storageError(verb: string, path: string, error: unknown): unknown {
  const because = { cause: error };
  const notThere = error instanceof Deno.errors.NotFound ||
    (verb === "open" && error instanceof Deno.errors.NotADirectory);
  if (notThere) {
    return new StorageNotFoundError(`Cannot ${verb} "${path}" as it is not there: check the path`, because);
  }
  if (error instanceof Deno.errors.IsADirectory) {
    return new StorageNotFoundError(`Cannot ${verb} "${path}" as it is a folder: name a file in it`, because);
  }
  if (error instanceof Deno.errors.NotCapable) {
    const flag = verb === "open" || verb === "list" || verb === "look at" ? "read" : "write";
    return new StorageDeniedError(
      `Cannot ${verb} "${path}" as this program was started without the right to: add --allow-${flag}=${path}`,
      because,
    );
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new StorageDeniedError(
      `Cannot ${verb} "${path}" as its permissions forbid it: check the owner and mode (ls -l)`,
      because,
    );
  }
  if (error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.AlreadyExists) {
    return new StorageDeniedError(
      `Cannot ${verb} "${path}" as a file stands where a folder is needed: choose another path`,
      because,
    );
  }
  if (error instanceof Error && "code" in error && FULL.includes(error.code)) {
    return new StorageDeniedError(
      `Cannot ${verb} "${path}" as the disk is full: free some space, or choose a path on another disk`,
      because,
    );
  }
  if (error instanceof Error && "code" in error && error.code === "EROFS") {
    return new StorageDeniedError(
      `Cannot ${verb} "${path}" as the file system is read-only: choose another path`,
      because,
    );
  }
  return error;
}
