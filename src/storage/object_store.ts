/**
 * What a service must do to be a backend: single requests, each translated into the project's errors and never tried
 * twice. {@link ObjectStorageManager} makes a whole `StorageManager` of it.
 *
 * @module
 */
import type { Checksum, FilePage, PageRequest, StoredFile, WriteCondition } from "../storage_manager.ts";

/** A checksum being computed. */
export interface Digest {
  update(bytes: Uint8Array): void;
  hex(): string;
}

/** What is said beside the bytes of a write. */
export interface PutOptions {
  readonly condition: WriteCondition | null;
  /** CRC-32C of all bytes. */
  readonly crc32c: number;
  readonly signal: AbortSignal | undefined;
}

/** Bytes [offset, offset + bytes.length) of a file being uploaded. */
export interface Part {
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly crc32c: number;
}

/** An upload in parts. */
interface UploadInParts {
  /** What a later process needs to go on, which a part may change; null where the file's name is enough. */
  readonly token: string | null;
  /** Bytes of each part but the last. */
  readonly partBytes: number;
  /** Its bytes may be written over afterwards. @throws {StorageNotFoundError} If the store forgot the upload. */
  send(part: Part, signal?: AbortSignal): Promise<void>;
  /** Makes the file appear. May be asked again after it was interrupted. */
  finish(options: PutOptions): Promise<StoredFile>;
  /** Forgets the parts. */
  abort(): Promise<void>;
}

/** Parts are sent one after the other, from the first byte on. */
export interface OrderedUpload extends UploadInParts {
  /** Bytes that the store has, from the first on without a gap. */
  sent(signal?: AbortSignal): Promise<number>;
}

/** Parts are sent in any order, several at the same time. */
export interface UnorderedUpload extends UploadInParts {
  /** Whether the store has this part already. Where it cannot tell whose bytes it has, the checksum of the whole will. */
  holds(part: Part): boolean | Promise<boolean>;
}

export type PartUpload = OrderedUpload | UnorderedUpload;

/** How an upload in parts begins. */
export interface UploadStart {
  readonly size: number;
  readonly condition: WriteCondition | null;
  readonly signal: AbortSignal | undefined;
}

/** One bucket of a service. Errors are the project's; those that may pass are `StorageInterruptedError`. */
export interface ObjectStore {
  readonly uri: string;
  /** Larger files are uploaded in parts. */
  readonly largestPut: number;
  /** Whether it compares or keeps the CRC-32C of what it is sent; where not, none is computed and 0 is passed. Default true. */
  readonly sums?: boolean;
  /** @throws {StorageNotFoundError} */
  head(name: string, signal?: AbortSignal): Promise<StoredFile>;
  page(request: PageRequest): Promise<FilePage>;
  /**
   * Bytes from `offset` to `end` of the version that `file` tells of. A piece is only good until the next one is asked for.
   *
   * @throws {StorageConflictError} If the file is another version by now.
   */
  open(
    file: StoredFile,
    offset: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>>;
  put(name: string, bytes: Uint8Array<ArrayBuffer>, options: PutOptions): Promise<StoredFile>;
  startUpload(name: string, start: UploadStart): Promise<PartUpload>;
  /** An upload that an earlier process began; null if that cannot be gone on with. */
  resumeUpload(name: string, token: string | null, start: UploadStart): Promise<PartUpload | null>;
  /** @throws {StorageNotFoundError} */
  remove(name: string, condition: WriteCondition | null): Promise<void>;
  /** Computes checksums of this store's files other than CRC-32C. */
  digest?(checksum: Checksum, size: number): Digest;
}
