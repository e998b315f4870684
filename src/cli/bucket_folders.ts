/**
 * Folders of buckets that a command reads from, opened before they are asked for.
 *
 * @module
 */
import type { FileReader, ReadableFolder } from "../storage.ts";
import type { OpenStorage, StorageManager } from "../storage_manager.ts";
import { MemoryFolder } from "../storage/memory.ts";
import { isRemote } from "../storage_uri.ts";
import { openStorage } from "../storage/open.ts";

/** What is read. Null: none. */
export interface ReadPaths {
  /** Files, or patterns of them: read in ranges, where they are. */
  readonly files?: readonly (string | null)[];
  /** Whole folders, such as adapters: each file is downloaded into the memory, and verified, when it is opened first. */
  readonly folders?: readonly (string | null)[];
}

/**
 * Opens folders as `files` does, and those in buckets that the paths lie in. Data sets of the Hub stay with `files`, which
 * has a cache for them.
 *
 * @param open Opens a bucket; default with the credentials of the environment.
 * @throws {ConfigError} If a URI is spelt as none.
 */
export async function withBuckets<F extends ReadableFolder>(
  files: (uri: string) => F,
  paths: ReadPaths,
  open: OpenStorage = openStorage,
): Promise<(uri: string) => F | ReadableFolder> {
  const opened = new Map<string, ReadableFolder>();
  const isHere = (uri: string) => uri === "" || !isRemote(uri) || uri.startsWith("hf://datasets/");
  for (const path of paths.files ?? []) {
    const uri = path?.slice(0, path.lastIndexOf("/") + 1) ?? "";
    if (isHere(uri)) continue;
    const { storage, name } = await open(uri);
    opened.set(uri, storage.folder(name));
  }
  for (const uri of paths.folders ?? []) {
    if (uri === null || isHere(uri)) continue;
    const { storage, name } = await open(uri);
    opened.set(uri, new DownloadedFolder(storage, name));
  }
  return (uri) => opened.get(uri) ?? files(uri);
}

/** A folder of a bucket whose files come whole: what is read in many small pieces would be as many requests. */
class DownloadedFolder implements ReadableFolder {
  readonly uri: string;
  readonly #storage: StorageManager;
  readonly #prefix: string;
  readonly #there: ReadableFolder;
  readonly #copies: MemoryFolder;

  constructor(storage: StorageManager, name: string) {
    const folder = name.replace(/\/+$/, "");
    this.#storage = storage;
    this.#prefix = folder === "" ? "" : `${folder}/`;
    this.#there = storage.folder(folder);
    this.uri = this.#there.uri;
    this.#copies = new MemoryFolder(this.uri);
  }

  list(): Promise<string[]> {
    return this.#there.list();
  }

  exists(name: string): Promise<boolean> {
    return this.#there.exists(name);
  }

  async open(name: string): Promise<FileReader> {
    if (!await this.#copies.exists(name)) {
      await this.#storage.downloadFile(this.#prefix + name, this.#copies, { as: name });
    }
    return await this.#copies.open(name);
  }
}
