/**
 * Single files of the browser's own file system: read as snapshots, written through the handles of dedicated workers.
 *
 * @module
 */
import { StorageDeniedError, StorageNotFoundError } from "../../src/errors.ts";
import type { FileReader, FileWriter } from "../../src/storage.ts";

/** A folder of the browser's. */
export type Directory = FileSystemDirectoryHandle;

/** What dedicated workers have and TypeScript's page types lack. */
export interface WorkerFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
  move(folder: FileSystemDirectoryHandle, name: string): Promise<void>;
}

/** A file open for writing; nobody else can write to it meanwhile. */
export interface SyncAccessHandle {
  getSize(): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(bytes: number): void;
  flush(): void;
  close(): void;
}

/** A snapshot: reading does not lock the file, and does not see what is appended later. */
export class OpfsReader implements FileReader {
  readonly size: number;
  readonly version: string;

  constructor(readonly uri: string, readonly file: File) {
    this.size = file.size;
    this.version = String(file.lastModified);
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new RangeError(
        `Cannot read bytes ${offset}..${offset + length} of "${this.uri}" as it has ${this.size}`,
      );
    }
    try {
      return new Uint8Array(await this.file.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      throw new Error(`Cannot read "${this.uri}" as it was replaced while it was open: open it again`, {
        cause,
      });
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Grows under a temporary name and is moved to its own at the end. */
export class OpfsWriter implements FileWriter {
  #open = true;
  #bytes = 0;

  constructor(
    readonly uri: string,
    readonly folder: Directory,
    readonly name: string,
    readonly handle: WorkerFileHandle,
    readonly access: SyncAccessHandle,
  ) {}

  // deno-lint-ignore require-await -- async so that a closed writer rejects
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#open) throw new TypeError(`Cannot write to "${this.uri}" after commit() or abort()`);
    try {
      writeAll(this.access, bytes, this.#bytes);
      this.#bytes += bytes.length;
    } catch (error) {
      throw storageError("write", this.uri, error);
    }
  }

  async commit(): Promise<void> {
    if (!this.#open) throw new TypeError(`Cannot commit "${this.uri}" after commit() or abort()`);
    try {
      this.access.flush();
      this.access.close();
      await this.handle.move(this.folder, this.name);
      this.#open = false;
    } catch (error) {
      throw storageError("write", this.uri, error);
    }
  }

  async abort(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.access.close();
    await this.folder.removeEntry(this.handle.name);
  }
}

/** Opens a file for writing, does something, and waits until it is on the medium. */
export async function withAccess(
  handle: WorkerFileHandle,
  act: (access: SyncAccessHandle) => void,
): Promise<void> {
  const access = await handle.createSyncAccessHandle();
  try {
    act(access);
    access.flush();
  } finally {
    access.close();
  }
}

/** Writes all bytes from a position on. @throws {StorageDeniedError} If the browser takes no more. */
export function writeAll(access: SyncAccessHandle, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) {
    const written = access.write(bytes.subarray(done), { at: at + done });
    if (written === 0) {
      throw new StorageDeniedError(
        `Cannot write the last ${
          bytes.length - done
        } bytes of a file as the browser takes no more: free disk space`,
      );
    }
    done += written;
  }
}

/** Nothing, for an entry that is not there or is of the other kind. */
export function absent(error: unknown): undefined {
  if (error instanceof DOMException && ["NotFoundError", "TypeMismatchError"].includes(error.name)) return;
  throw error;
}

/** The error a caller can act on, for one of the browser's. Unknown ones come back as they are. */
export function storageError(verb: string, path: string, error: unknown): unknown {
  const because = { cause: error };
  switch (error instanceof DOMException ? error.name : "") {
    case "NotFoundError":
      return new StorageNotFoundError(`Cannot ${verb} "${path}" as it is not there: check the path`, because);
    case "TypeMismatchError":
      return new StorageDeniedError(
        `Cannot ${verb} "${path}" as a folder stands where a file is needed, or the other way round: choose another path`,
        because,
      );
    case "QuotaExceededError":
      return new StorageDeniedError(
        `Cannot ${verb} "${path}" as the browser's storage for this page is full: remove old runs, or free disk space`,
        because,
      );
    case "NoModificationAllowedError":
      return new StorageDeniedError(
        `Cannot ${verb} "${path}" as it is open elsewhere: close other tabs of this page`,
        because,
      );
  }
  return error;
}
