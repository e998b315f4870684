/**
 * A folder on this machine's disk. Deno only.
 *
 * @module
 */

import {
  assertFileName,
  assertTruncation,
  type FileReader,
  type FileWriter,
  type Folder,
  type FolderLock,
  type FolderWriter,
  type LockMode,
} from "../storage.ts";
import { storageError } from "./local_errors.ts";
import { LocalReader, LocalWriter, syncFolder, writeAll } from "./local_files.ts";
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

function joined(folder: string, name: string): string {
  return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}
