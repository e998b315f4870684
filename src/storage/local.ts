/**
 * A folder on this machine's disk. Deno only.
 *
 * @module
 */

import { StorageDeniedError, StorageNotFoundError } from "../errors.ts";
import {
  assertFileName,
  assertTruncation,
  type CopyOptions,
  type FileReader,
  type FileWriter,
  type Folder,
  type FolderLock,
  type FolderWriter,
  type LockMode,
} from "../storage.ts";
import { copyFile } from "./local_copy.ts";
import { LOCK_FILE, lockFolder } from "./local_lock.ts";

/** Marks a file or folder that is being written or removed; no listing shows such names. */
const TEMPORARY = /^\..+\.[0-9a-f]{8}\.partial$/;

/**
 * A folder on this machine's disk, named by an absolute path or one relative to the working directory.
 *
 * A file written by `create()` grows under a hidden name beside its own, is synced, renamed, and the folder is
 * synced after it: a crash leaves the old file or the new one, never a torn one.
 */
export class LocalFolder implements Folder {
  readonly uri: string;

  /**
   * Touches nothing yet.
   *
   * @param path Of the folder, which need not exist.
   */
  constructor(path: string) {
    this.uri = path === "" ? "." : path.length > 1 ? path.replace(/\/+$/, "") || "/" : path;
  }

  async list(): Promise<string[]> {
    const names: string[] = [];
    for (const entry of await this.#entries()) {
      if (TEMPORARY.test(entry.name) || entry.name === LOCK_FILE) continue;
      // Model caches are folders of links, so a link to a file counts as one.
      if (entry.isFile || (entry.isSymlink && await this.exists(entry.name))) names.push(entry.name);
    }
    return names.sort();
  }

  /** Whether there is a file of this name; a folder is none. */
  async exists(name: string): Promise<boolean> {
    const path = this.#path(name);
    try {
      return (await Deno.stat(path)).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
      throw storageError("look at", path, error);
    }
  }

  /** Opens a file to read. */
  async open(name: string): Promise<FileReader> {
    const path = this.#path(name);
    let file: Deno.FsFile | undefined;
    try {
      file = await Deno.open(path);
      const { isFile, size } = await file.stat();
      if (!isFile) throw new Deno.errors.IsADirectory(path);
      return new LocalReader(path, size, file);
    } catch (error) {
      file?.close();
      throw storageError("open", path, error);
    }
  }

  async create(name: string): Promise<FileWriter> {
    const path = this.#path(name);
    const temporary = this.#temporary(name);
    const open = () => Deno.open(temporary, { write: true, createNew: true });
    try {
      const file = await open().catch(async (error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        await Deno.mkdir(this.uri, { recursive: true });
        return await open();
      });
      return new LocalWriter(this.uri, path, temporary, file);
    } catch (error) {
      throw storageError("write", path, error);
    }
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(name);
    try {
      await Deno.mkdir(this.uri, { recursive: true });
      using file = await Deno.open(path, { append: true, create: true });
      await writeAll(file, bytes);
    } catch (error) {
      throw storageError("append to", path, error);
    }
  }

  async sync(name: string): Promise<void> {
    const path = this.#path(name);
    try {
      using file = await Deno.open(path);
      await file.sync();
    } catch (error) {
      throw storageError("sync", path, error);
    }
  }

  async truncate(name: string, bytes: number): Promise<void> {
    const path = this.#path(name);
    try {
      using file = await Deno.open(path, { write: true });
      assertTruncation(path, (await file.stat()).size, bytes);
      await file.truncate(bytes);
    } catch (error) {
      throw storageError("cut", path, error);
    }
  }

  async remove(name: string): Promise<void> {
    const path = this.#path(name);
    try {
      await Deno.remove(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw storageError("remove", path, error);
    }
  }

  folder(name: string): LocalFolder {
    for (const part of name.split("/")) assertFileName(this, part);
    return new LocalFolder(joined(this.uri, name));
  }

  async folders(): Promise<string[]> {
    const entries = (await this.#entries()).filter(({ name, isDirectory }) =>
      isDirectory && !TEMPORARY.test(name)
    );
    return entries.map(({ name }) => name).sort();
  }

  async createFolder(name: string): Promise<FolderWriter> {
    const path = this.#path(name);
    const temporary = this.#temporary(name);
    try {
      await Deno.mkdir(temporary, { recursive: true });
      return new LocalFolderWriter(this, name, new LocalFolder(temporary));
    } catch (error) {
      throw storageError("write", path, error);
    }
  }

  async removeFolder(name: string): Promise<void> {
    const path = this.#path(name);
    const temporary = this.#temporary(name);
    try {
      await Deno.rename(path, temporary);
      await Deno.remove(temporary, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw storageError("remove", path, error);
    }
  }

  async lock(mode: LockMode = "exclusive"): Promise<FolderLock | null> {
    try {
      return await lockFolder(this.uri, mode);
    } catch (error) {
      throw storageError("write to", this.uri, error);
    }
  }

  async removeLeftovers(): Promise<void> {
    for (const { name } of await this.#entries()) {
      if (!TEMPORARY.test(name)) continue;
      const path = this.#path(name);
      await Deno.remove(path, { recursive: true }).catch((error) => {
        throw storageError("remove", path, error);
      });
    }
  }

  /** Empty when the folder does not exist. */
  async #entries(): Promise<Deno.DirEntry[]> {
    try {
      return await Array.fromAsync(Deno.readDir(this.uri));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw storageError("list", this.uri, error);
    }
  }

  #path(name: string): string {
    assertFileName(this, name);
    return joined(this.uri, name);
  }

  #temporary(name: string): string {
    return this.#path(`.${name}.${crypto.randomUUID().slice(0, 8)}.partial`);
  }
}

class LocalFolderWriter implements FolderWriter {
  readonly folder: LocalFolder;
  readonly #parent: LocalFolder;
  readonly #name: string;
  #open = true;

  constructor(parent: LocalFolder, name: string, temporary: LocalFolder) {
    this.folder = temporary;
    this.#parent = parent;
    this.#name = name;
  }

  async commit(): Promise<void> {
    const path = joined(this.#parent.uri, this.#name);
    if (!this.#open) throw new TypeError(`Cannot commit "${path}" after commit() or abort()`);
    await this.#parent.removeFolder(this.#name);
    try {
      await Deno.rename(this.folder.uri, path);
      this.#open = false;
      await syncFolder(this.#parent.uri);
    } catch (error) {
      throw storageError("write", path, error);
    }
  }

  async abort(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await Deno.remove(this.folder.uri, { recursive: true });
  }
}

class LocalReader implements FileReader {
  readonly path: string;
  readonly #file: Deno.FsFile;
  /** The file has one position, so reads take turns. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(readonly uri: string, readonly size: number, file: Deno.FsFile) {
    this.path = uri;
    this.#file = file;
  }

  // deno-lint-ignore require-await -- async so that a bad range rejects
  async read(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new RangeError(
        `Cannot read bytes ${offset}..${offset + length} of "${this.uri}" as it has ${this.size}`,
      );
    }
    const result = this.#turn.then(() =>
      this.#readNow(offset, into?.subarray(0, length) ?? new Uint8Array(length))
    );
    this.#turn = result.catch(() => {});
    return result;
  }

  async #readNow(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { length } = bytes;
    await this.#file.seek(offset, Deno.SeekMode.Start);
    for (let done = 0; done < length;) {
      const count = await this.#file.read(bytes.subarray(done));
      if (count === null) {
        throw new RangeError(
          `Cannot read bytes ${offset}..${offset + length} of "${this.uri}" as it now ends at ${
            offset + done
          }: ` +
            `it was cut while it was open`,
        );
      }
      done += count;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#turn;
    this.#file.close();
  }
}

class LocalWriter implements FileWriter {
  readonly #folder: string;
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: Deno.FsFile;
  #open = true;

  constructor(folder: string, path: string, temporary: string, file: Deno.FsFile) {
    this.#folder = folder;
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#open) throw new TypeError(`Cannot write to "${this.#path}" after commit() or abort()`);
    try {
      await writeAll(this.#file, bytes);
    } catch (error) {
      throw storageError("write", this.#path, error);
    }
  }

  async copy(path: string, options: CopyOptions = {}): Promise<number> {
    if (!this.#open) throw new TypeError(`Cannot write to "${this.#path}" after commit() or abort()`);
    try {
      return await copyFile(path, { path: this.#temporary, file: this.#file }, options);
    } catch (error) {
      throw storageError("write", this.#path, error);
    }
  }

  async commit(): Promise<void> {
    if (!this.#open) throw new TypeError(`Cannot commit "${this.#path}" after commit() or abort()`);
    try {
      await this.#file.sync();
      await Deno.rename(this.#temporary, this.#path);
      this.#close();
      await syncFolder(this.#folder);
    } catch (error) {
      throw storageError("write", this.#path, error);
    }
  }

  async abort(): Promise<void> {
    if (!this.#open) return;
    this.#close();
    await Deno.remove(this.#temporary).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // a copy that was given up removes it, too
    });
  }

  #close(): void {
    this.#open = false;
    this.#file.close();
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

/** Makes a rename durable. Windows has no such call for folders and does not need it. */
async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}

function joined(folder: string, name: string): string {
  return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}

/** No space on the disk, or none left of what the user may take. */
const FULL: readonly unknown[] = ["ENOSPC", "EDQUOT"];

/** The error a caller can act on, for one of the runtime's. Unknown ones come back as they are. */
function storageError(verb: string, path: string, error: unknown): unknown {
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
