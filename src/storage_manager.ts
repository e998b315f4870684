/**
 * Buckets as the rest of the project sees them: files by name, read in ranges, written under conditions, and whole
 * folders moved to and from a {@link Folder}. Backends live in `storage/`; only composition roots name one.
 *
 * @module
 */
import type { Folder, ReadableFolder } from "./storage.ts";

/** What a store says about the bytes that it holds. */
export interface Checksum {
  /** `git-sha1` is git's name of a blob: SHA-1 of `blob SIZE\0` and the bytes. */
  readonly algorithm: "crc32c" | "md5" | "sha256" | "git-sha1";
  /** Lower-case hexadecimal digits. */
  readonly hex: string;
}

/** A file of a bucket. */
export interface StoredFile {
  /** Name from the root of the bucket, parts separated by `/`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Another one after every write; what conditions and pinned reads compare. */
  readonly version: string;
  /** Null where the store does not know one; only the size is checked then. */
  readonly checksum: Checksum | null;
}

/** What must hold at the moment of a write. A write whose condition fails is a `StorageConflictError`. */
export type WriteCondition =
  /** Nothing has this name. */
  | { readonly ifAbsent: true }
  /** The file is still this version. */
  | { readonly ifVersion: string };

/** A page of a listing. */
export interface FilePage {
  /** In the order of their names. */
  readonly files: readonly StoredFile[];
  /** What asks for the page after this one; null after the last. */
  readonly nextPageToken: string | null;
}

/** Which page of a listing. */
export interface PageRequest {
  /** Beginning of the names; empty for all. */
  readonly prefix?: string;
  /** Files of a page at most. Default: the store's own, usually 1000. */
  readonly pageSize?: number;
  /** Of the page before; default the first page. */
  readonly pageToken?: string | null;
  /** Gives the request up. */
  readonly signal?: AbortSignal;
}

/** How far a transfer is. */
export interface TransferProgress {
  /** The file that moved last. */
  readonly name: string;
  /** Files that have moved. */
  readonly files: number;
  /** Files that are to move. */
  readonly totalFiles: number;
  /** Bytes that have moved. */
  readonly bytes: number;
  /** Bytes that are to move. */
  readonly totalBytes: number;
}

/** How to move files. */
export interface TransferOptions {
  /** Gives the transfer up. */
  readonly signal?: AbortSignal;
  /** Told as bytes move. */
  readonly onProgress?: (progress: TransferProgress) => void;
}

/** How to upload a file. */
export interface UploadOptions extends TransferOptions {
  /** What must hold of the file that is there; default nothing. */
  readonly condition?: WriteCondition;
  /**
   * Where notes about unfinished uploads are kept, so that the same upload of a later process goes on where this one
   * broke off. Without it an upload that fails takes back what it sent. A note of Google Cloud Storage allows whoever
   * reads it to finish that one upload.
   */
  readonly sessions?: Folder;
}

/** How to move a folder. */
export interface FolderTransferOptions extends TransferOptions {
  /** Files that move at the same time. Default 4. */
  readonly concurrency?: number;
  /** Leave alone what is there already with the same size and checksum. Default false. */
  readonly skipSame?: boolean;
  /** Which files move, by their paths below the folder. Default all. */
  readonly include?: (path: string) => boolean;
  /** As {@link UploadOptions.sessions}. */
  readonly sessions?: Folder;
}

/** What moved. */
export interface TransferSummary {
  /** Files that moved. */
  readonly files: number;
  /** Bytes that moved. */
  readonly bytes: number;
  /** Files that were the same on both sides. */
  readonly skipped: number;
}

/** What a later process needs to go on with a {@link StreamedUpload}. Of Google Cloud Storage, it allows whoever has it that. */
export interface UploadNote {
  /** The store's name for the upload; null where the file's name is enough, and for files of one request. */
  readonly token: string | null;
  /** Bytes that the store has. */
  readonly sent: number;
  /** CRC-32C of those. */
  readonly crc32c: number;
}

/**
 * A file that is written by whoever gets its bytes one after the other, in one request or in many. Nothing appears before
 * `finish()`. The store holds what was sent in whole parts; one part at most is in memory.
 */
export interface StreamedUpload {
  /** Bytes of the whole file. */
  readonly size: number;
  /** Bytes that the store has. What came behind them when a stream broke off is to be sent again. */
  readonly sent: number;
  /** Bytes of each part but the last. */
  readonly partBytes: number;
  /** For a later process, as of now. */
  readonly note: UploadNote;
  /**
   * Sends bytes from `sent` on, until the pieces end, break off or are all that is missing.
   *
   * @param kept Told after each part that the store has.
   * @throws {RangeError} If there are more bytes than the file is to have.
   * @throws {StorageNotFoundError} If the store forgot the upload.
   */
  send(
    pieces: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
    kept?: (note: UploadNote) => void,
  ): Promise<void>;
  /** Makes the file appear. @throws {RangeError} If bytes are missing. */
  finish(): Promise<StoredFile>;
  /** Has the store forget what was sent. */
  abort(): Promise<void>;
}

/** A bucket and a name within it. */
export interface OpenedUri {
  /** The bucket. */
  readonly storage: StorageManager;
  /** Empty for the whole bucket. */
  readonly name: string;
}

/** Opens the bucket that a URI names. @throws {ConfigError} If the URI is not spelt as one. */
export type OpenStorage = (uri: string) => Promise<OpenedUri>;

/** A kind of bucket. */
export interface StorageBackend {
  /** Beginnings of its URIs, such as `gs` of `gs://bucket/name`. */
  readonly schemes: readonly string[];
  /** Opens the bucket that a URI of one of the schemes names. @throws {ConfigError} If the URI is not spelt as one. */
  open(uri: string): OpenedUri | Promise<OpenedUri>;
}

/** Bytes of a file. */
export interface ByteRange {
  /** First byte; default 0. */
  readonly offset: number;
  /** Default: to the end. */
  readonly length?: number;
}

/**
 * The files of one bucket, or of a folder that stands for one.
 *
 * Every method rejects with one of the errors that tell causes apart: `StorageNotFoundError` (no such file),
 * `StorageBucketError` (no such bucket), `StorageDeniedError` (no or wrong credentials, or no right),
 * `StorageConflictError` (a condition failed), `StorageInterruptedError` (network or service, after retries),
 * `StorageDamagedError` (a checksum differs). What can be tried again is, with growing pauses.
 */
export interface StorageManager {
  /** Such as `gs://my-bucket`. */
  readonly uri: string;
  /** Such as `gs://my-bucket/models/config.json`. */
  uriOf(name: string): string;
  /** Whether there is a file of this name, or with a slash at the end, anything below it. */
  exists(name: string): Promise<boolean>;
  /** Size, version and checksums of a file. @throws {StorageNotFoundError} If there is none. */
  stat(name: string): Promise<StoredFile>;
  /** One page of the files, in the order of their names. */
  listPage(request?: PageRequest): Promise<FilePage>;
  /** Every file whose name begins with `prefix`, page by page. */
  list(prefix?: string, signal?: AbortSignal): AsyncIterable<StoredFile>;
  /** Bytes in memory. @throws {RangeError} If the range reaches beyond the file. */
  read(name: string, range?: ByteRange): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Bytes of the version of a file that was looked at, as they come; after a break the rest is asked for again. A piece is
   * only good until the next one is asked for.
   *
   * @throws {RangeError} If the range reaches beyond the file.
   * @throws {StorageConflictError} If it is another version by now.
   */
  stream(file: StoredFile, range?: Partial<ByteRange>, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Begins to write a file of `size` bytes that come one after the other. */
  startUpload(name: string, size: number, condition?: WriteCondition | null): Promise<StreamedUpload>;
  /** Goes on with an upload that another process began so; null if the store does not know it any more. */
  resumeUpload(
    name: string,
    size: number,
    note: UploadNote,
    condition?: WriteCondition | null,
  ): Promise<StreamedUpload | null>;
  /** Writes a file that is in memory. */
  write(
    name: string,
    bytes: Uint8Array,
    condition?: WriteCondition | null,
    signal?: AbortSignal,
  ): Promise<StoredFile>;
  /** Does nothing when there is no such file and no condition. */
  remove(
    name: string,
    condition?: { readonly ifVersion: string } | null,
    signal?: AbortSignal,
  ): Promise<void>;
  /** Downloads one file, verified before it appears, into a folder under `as` or its own last part. */
  downloadFile(
    name: string,
    to: Folder,
    options?: TransferOptions & { readonly as?: string },
  ): Promise<StoredFile>;
  /**
   * Downloads a file that was looked at before. It grows under its own last part or `as`, and a call after one that broke
   * off, in a later process too, goes on behind what is there. The whole is verified; a damaged file is removed.
   */
  continueDownload(
    file: StoredFile,
    to: Folder,
    options?: TransferOptions & { readonly as?: string },
  ): Promise<void>;
  /** Uploads the file `file` of a folder; large ones in parts, each tried again on its own. */
  uploadFile(from: ReadableFolder, file: string, name: string, options?: UploadOptions): Promise<StoredFile>;
  /** Downloads all below `prefix/` with its folders. @throws {StorageNotFoundError} If there is nothing. */
  downloadFolder(prefix: string, to: Folder, options?: FolderTransferOptions): Promise<TransferSummary>;
  /** Uploads a folder and those below it. @throws {StorageNotFoundError} If it holds nothing. */
  uploadFolder(from: Folder, prefix: string, options?: FolderTransferOptions): Promise<TransferSummary>;
  /** The files directly below `prefix/`, read in ranges where they are. */
  folder(prefix: string): ReadableFolder;
}
