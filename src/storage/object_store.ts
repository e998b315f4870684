/**
 * What a service must do to be a backend: single requests, each translated into the project's errors and never tried
 * twice. {@link ObjectStorageManager} makes a whole `StorageManager` of it.
 *
 * @module
 */
import type { CopyOptions } from "../storage.ts";
import type { Checksum, FilePage, PageRequest, StoredFile, WriteCondition } from "../storage_manager.ts";

/** A checksum being computed. */
export interface Digest {
  /** Takes the next bytes. */
  update(bytes: Uint8Array): void;
  /** Of all bytes so far, in lower-case digits. */
  hex(): string;
}

/** What is said beside the bytes of a write. */
export interface PutOptions {
  /** What must hold for the file to appear. */
  readonly condition: WriteCondition | null;
  /** CRC-32C of all bytes. */
  readonly crc32c: number;
  /** Stops the request. */
  readonly signal: AbortSignal | undefined;
}

/** Bytes [offset, offset + bytes.length) of a file being uploaded. */
export interface Part {
  /** Of its first byte in the file. */
  readonly offset: number;
  /** Its content. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** CRC-32C of `bytes`. */
  readonly crc32c: number;
}

/** An upload in parts. */
export interface UploadInParts {
  /** What a later process needs to go on, which a part may change; null where the file's name is enough. */
  readonly token: string | null;
  /** Bytes of each part but the last. */
  readonly partBytes: number;
  /** Its bytes may be written over afterwards. @throws {StorageNotFoundError} If the store forgot the upload. */
  send(part: Part, signal?: AbortSignal): Promise<void>;
  /** Has the system copy a whole file of this machine's disk, in place of all parts. Absent where it cannot. */
  copy?(path: string, options: CopyOptions): Promise<void>;
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
  /**
   * Takes the first `sent` bytes, whole parts that an earlier process sent, as they are. False where the store does not have
   * them, or cannot tell them from others.
   *
   * @param crc32c Of those bytes; 0 where none was computed.
   */
  begins(sent: number, crc32c: number): boolean | Promise<boolean>;
}

/** An upload in parts, of either kind. */
export type PartUpload = OrderedUpload | UnorderedUpload;

/** How an upload in parts begins. */
export interface UploadStart {
  /** Bytes of the whole file. */
  readonly size: number;
  /** What must hold for the file to appear. */
  readonly condition: WriteCondition | null;
  /** Stops the upload. */
  readonly signal: AbortSignal | undefined;
}

/** Of a store what reading takes. */
export type ReadableStore = Pick<ObjectStore, "uri" | "head" | "page" | "open" | "copied" | "digest">;

/** One bucket of a service. Errors are the project's; those that may pass are `StorageInterruptedError`. */
export interface ObjectStore {
  /** Such as `gs://my-bucket`. */
  readonly uri: string;
  /** Larger files are uploaded in parts. */
  readonly largestPut: number;
  /** Whether it compares or keeps the CRC-32C of what it is sent; where not, none is computed and 0 is passed. Default true. */
  readonly sums?: boolean;
  /** What the store says about a file. @throws {StorageNotFoundError} */
  head(name: string, signal?: AbortSignal): Promise<StoredFile>;
  /** A page of a listing. */
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
  /**
   * Has a file copied from where it is on this machine's disk. Absent where it is elsewhere.
   *
   * @param copy Copies what has a path, and gives its bytes.
   * @throws {StorageConflictError} If the file is another version by now.
   */
  copied?(file: StoredFile, copy: (path: string) => Promise<number>): Promise<number>;
  /** Writes a file that is in memory, in one request. */
  put(name: string, bytes: Uint8Array<ArrayBuffer>, options: PutOptions): Promise<StoredFile>;
  /** Begins an upload in parts. */
  startUpload(name: string, start: UploadStart): Promise<PartUpload>;
  /** An upload that an earlier process began; null if that cannot be gone on with. */
  resumeUpload(name: string, token: string | null, start: UploadStart): Promise<PartUpload | null>;
  /** Removes a file. @throws {StorageNotFoundError} */
  remove(name: string, condition: WriteCondition | null, signal?: AbortSignal): Promise<void>;
  /** Computes checksums of this store's files other than CRC-32C. */
  digest?(checksum: Checksum, size: number): Digest;
}
