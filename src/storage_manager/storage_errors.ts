/**
 * What goes wrong with stores, told apart.
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
} from "../errors.ts";

/** Every class of error by which a store refuses. */
export const STORAGE_ERRORS = [
  StorageNotFoundError,
  StorageDeniedError,
  StorageBucketError,
  StorageInterruptedError,
  StorageConflictError,
  StorageDamagedError,
] as const;
