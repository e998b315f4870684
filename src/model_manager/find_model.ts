/**
 * Finding a base model by the name that a user gave it; the files of this machine, buckets and the Hub stand behind it.
 *
 * @module
 */
import type { ReadableFolder } from "../storage.ts";
import type { TransferOptions } from "../storage_manager.ts";

/** How to find a model. */
export interface FindModelOptions extends TransferOptions {
  /** Where a bucket's `models/NAME` is looked for, such as `gs://my-bucket/team`. Default nowhere. */
  readonly bucketUri?: string | null;
  /** Whether weights are wanted, and not the files alone that describe the model. Default true. */
  readonly weights?: boolean;
  /** Told what the user should know, such as that a copy may be out of date. */
  readonly onNote?: (note: string) => void;
}

/** Where a model's files are, ready to be read. */
export interface FoundModel {
  /** What files that are written about the model call it. */
  readonly name: string;
  /** Its files, or the GGUF file among others. */
  readonly folder: ReadableFolder;
  /** A GGUF file in the folder; null where the folder is the model. */
  readonly file: string | null;
}

/**
 * Finds a model by a path, a URI, or a name in a bucket or on the Hub.
 *
 * @throws {ConfigError} If the name is spelt as none.
 * @throws {StorageNotFoundError} @throws {StorageBucketError} @throws {StorageDeniedError}
 * @throws {StorageInterruptedError} With all places that were looked at, and why each does not have it.
 */
export type FindModel = (name: string, options?: FindModelOptions) => Promise<FoundModel>;
