/**
 * The browser's own file system for a page (Origin Private File System) as a folder. For dedicated workers: writing
 * uses handles that only they are given.
 *
 * @module
 */
import { StorageDeniedError, StorageNotFoundError } from "../../src/errors.ts";
import {
  assertFileName,
  assertTruncation,
  type FileReader,
  type FileWriter,
  type Folder,
  type FolderLock,
  type FolderWriter,
  type LockMode,
} from "../../src/storage.ts";
import {
  absent,
  type Directory,
  OpfsReader,
  OpfsWriter,
  storageError,
  withAccess,
  type WorkerFileHandle,
  writeAll,
} from "./opfs_files.ts";
import { webLock } from "./web_lock.ts";

/** Marks what is being written or removed; no listing shows such names. */
const TEMPORARY = /^\..+\.([0-9a-f]{8}|torn)\.partial$/;

/** While this file lies beside a folder, the folder is not whole and counts as absent. */
const tornMark = (name: string) => `.${name}.torn.partial`;

const temporaryName = (name: string) => `.${name}.${crypto.randomUUID().slice(0, 8)}.partial`;

/**
 * A folder below the page's root.
 *
 * A file written by `create()` grows under a hidden name, is flushed and moved over the old one. Folders cannot be
 * moved: while one is being filled from its hidden twin, or emptied, a mark beside it hides it, so that after a crash it
 * counts as absent.
 */
export class OpfsFolder implements Folder {
  readonly uri: string;
  readonly #root: Directory;
  readonly #path: readonly string[];

  /** @param path Names of the folders that lead to this one from `root`. */
  constructor(root: Directory, path: readonly string[] = []) {
    this.#root = root;
    this.#path = path;
    this.uri = path.join("/") || ".";
  }

  /** The page's root. @throws {StorageDeniedError} If the browser offers none, as in some private windows. */
  static async open(): Promise<OpfsFolder> {
    try {
      return new OpfsFolder(await navigator.storage.getDirectory());
    } catch (cause) {
      throw new StorageDeniedError(
        "This browser gives the page no file system: leave the private window, or allow the page to store data",
        { cause },
      );
    }
  }

  async list(): Promise<string[]> {
    return await this.#names("file");
  }

  async folders(): Promise<string[]> {
    const found: string[] = [];
    for (const name of await this.#names("directory")) {
      const { done } = await (await this.folder(name).#find())?.keys().next() ?? { done: true };
      if (!done) found.push(name);
    }
    return found;
  }

  async exists(name: string): Promise<boolean> {
    assertFileName(this, name);
    const handle = await (await this.#find())?.getFileHandle(name).catch(absent);
    return handle !== undefined;
  }

  async open(name: string): Promise<FileReader> {
    const handle = await this.#fileHandle("open", name);
    return new OpfsReader(this.#uriOf(name), await handle.getFile());
  }

  async create(name: string): Promise<FileWriter> {
    assertFileName(this, name);
    return await this.#told("write", name, async () => {
      const folder = await this.#make();
      const handle = await folder.getFileHandle(temporaryName(name), { create: true }) as WorkerFileHandle;
      return new OpfsWriter(this.#uriOf(name), folder, name, handle, await handle.createSyncAccessHandle());
    });
  }

  async append(name: string, bytes: Uint8Array): Promise<void> {
    assertFileName(this, name);
    await this.#told("append to", name, async () => {
      const folder = await this.#make();
      const handle = await folder.getFileHandle(name, { create: true }) as WorkerFileHandle;
      await withAccess(handle, (access) => writeAll(access, bytes, access.getSize()));
    });
  }

  async sync(name: string): Promise<void> {
    const handle = await this.#fileHandle("sync", name);
    await this.#told("sync", name, () => withAccess(handle, () => {}));
  }

  async truncate(name: string, bytes: number): Promise<void> {
    const handle = await this.#fileHandle("cut", name);
    await this.#told("cut", name, () =>
      withAccess(handle, (access) => {
        assertTruncation(this.#uriOf(name), access.getSize(), bytes);
        access.truncate(bytes);
      }));
  }

  async remove(name: string): Promise<void> {
    assertFileName(this, name);
    const folder = await this.#find();
    await this.#told("remove", name, async () => await folder?.removeEntry(name).catch(absent));
  }

  folder(name: string): OpfsFolder {
    const parts = name.split("/");
    for (const part of parts) assertFileName(this, part);
    return new OpfsFolder(this.#root, [...this.#path, ...parts]);
  }

  async createFolder(name: string): Promise<FolderWriter> {
    assertFileName(this, name);
    const temporary = temporaryName(name);
    return await this.#told("write", name, async () => {
      const parent = await this.#make();
      const staged = await parent.getDirectoryHandle(temporary, { create: true });
      return new OpfsFolderWriter(this.#uriOf(name), parent, name, staged, this.folder(temporary));
    });
  }

  async removeFolder(name: string): Promise<void> {
    assertFileName(this, name);
    const parent = await this.#find();
    if (!await parent?.getDirectoryHandle(name).catch(absent)) return;
    await this.#told("remove", name, () => whileTorn(parent!, name, async () => {}));
  }

  async lock(mode: LockMode = "exclusive"): Promise<FolderLock | null> {
    const existed = await this.#find() !== undefined;
    const lock = await webLock(`lowrank folder ${this.uri}`, mode);
    return lock && {
      release: async () => {
        if (!existed) await this.#removeIfEmpty();
        await lock.release();
      },
    };
  }

  async removeLeftovers(): Promise<void> {
    const folder = await this.#find();
    for (const name of await Array.fromAsync(folder?.keys() ?? [])) {
      const [, torn] = /^\.(.+)\.torn\.partial$/.exec(name) ?? [];
      if (torn !== undefined) await clear(folder!, torn);
      else if (TEMPORARY.test(name)) await folder!.removeEntry(name, { recursive: true });
    }
  }

  /** This folder; undefined where it does not exist whole. */
  async #find(): Promise<Directory | undefined> {
    let folder: Directory | undefined = this.#root;
    for (const name of this.#path) {
      if (await folder.getFileHandle(tornMark(name)).catch(absent)) return undefined;
      folder = await folder.getDirectoryHandle(name).catch(absent);
      if (!folder) return undefined;
    }
    return folder;
  }

  /** This folder, created where it is missing. */
  async #make(): Promise<Directory> {
    let folder = this.#root;
    for (const name of this.#path) {
      if (await folder.getFileHandle(tornMark(name)).catch(absent)) await clear(folder, name);
      folder = await folder.getDirectoryHandle(name, { create: true });
    }
    return folder;
  }

  async #removeIfEmpty(): Promise<void> {
    const parent = await new OpfsFolder(this.#root, this.#path.slice(0, -1)).#find();
    const name = this.#path.at(-1);
    // without `recursive` the browser removes no folder that holds something
    if (name !== undefined) await parent?.removeEntry(name).catch(() => {});
  }

  async #names(kind: FileSystemHandleKind): Promise<string[]> {
    const folder = await this.#find();
    const entries = await Array.fromAsync(folder?.entries() ?? []);
    return entries.filter(([name, handle]) => handle.kind === kind && !TEMPORARY.test(name))
      .map(([name]) => name).sort();
  }

  async #fileHandle(verb: string, name: string): Promise<WorkerFileHandle> {
    assertFileName(this, name);
    const folder = await this.#find();
    const handle = await this.#told(verb, name, async () => await folder?.getFileHandle(name));
    if (handle) return handle as WorkerFileHandle;
    throw new StorageNotFoundError(
      `Cannot ${verb} "${this.#uriOf(name)}" as it is not there: check the path`,
    );
  }

  #uriOf(name: string): string {
    return this.uri === "." ? name : `${this.uri}/${name}`;
  }

  /** Does something and tells what went wrong in words. */
  async #told<T>(verb: string, name: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw storageError(verb, this.#uriOf(name), error);
    }
  }
}

class OpfsFolderWriter implements FolderWriter {
  #open = true;

  constructor(
    readonly uri: string,
    readonly parent: Directory,
    readonly name: string,
    readonly staged: Directory,
    readonly folder: OpfsFolder,
  ) {}

  async commit(): Promise<void> {
    if (!this.#open) throw new TypeError(`Cannot commit "${this.uri}" after commit() or abort()`);
    const { parent, name, staged } = this;
    try {
      await whileTorn(parent, name, async () => {
        await moveAll(staged, await parent.getDirectoryHandle(name, { create: true }));
      });
      this.#open = false;
      await parent.removeEntry(staged.name, { recursive: true });
    } catch (error) {
      throw storageError("write", this.uri, error);
    }
  }

  async abort(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.parent.removeEntry(this.staged.name, { recursive: true });
  }
}

/** Removes a folder, does something in its place, and shows the outcome. A crash meanwhile leaves it absent. */
async function whileTorn(parent: Directory, name: string, act: () => Promise<void>): Promise<void> {
  await parent.getFileHandle(tornMark(name), { create: true });
  await parent.removeEntry(name, { recursive: true }).catch(absent);
  await act();
  await parent.removeEntry(tornMark(name));
}

/** Removes a torn folder, and last its mark. */
async function clear(parent: Directory, name: string): Promise<void> {
  await whileTorn(parent, name, async () => {});
}

async function moveAll(from: Directory, to: Directory): Promise<void> {
  for (const [name, handle] of await Array.fromAsync(from.entries())) {
    if (handle.kind === "file") await (handle as WorkerFileHandle).move(to, name);
    else await moveAll(handle as Directory, await to.getDirectoryHandle(name, { create: true }));
  }
}
