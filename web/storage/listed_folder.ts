/**
 * Files of one folder of a bucket that were listed before, read in ranges where they are: a model can be
 * looked at, and a run with it planned, while nothing of it is on the device.
 *
 * @module
 */
import { StorageNotFoundError } from "../../src/errors.ts";
import { assertFileName, type FileReader, type Folder } from "../../src/storage.ts";
import { ReadOnlyFolder } from "../../src/storage/read_only.ts";
import type { StoredFile } from "../../src/storage_manager.ts";
import type { BucketReader } from "./bucket_reader.ts";

export class ListedFolder extends ReadOnlyFolder {
  readonly uri: string;
  readonly #path: string;
  readonly #files: ReadonlyMap<string, StoredFile>;

  /**
   * @param path Of the folder, as the server names it.
   * @param files Those directly in it. Nobody is asked whether there are others.
   * @param signal Ends all reading.
   */
  constructor(
    readonly storage: BucketReader,
    path: string,
    files: readonly StoredFile[],
    readonly signal: AbortSignal,
  ) {
    super();
    this.uri = storage.uriOf(path);
    this.#path = path;
    this.#files = new Map(files.map((file) => [file.name.slice(path.length + 1), file]));
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#files.keys()].sort());
  }

  // deno-lint-ignore require-await -- async so that a bad name rejects
  async exists(name: string): Promise<boolean> {
    assertFileName(this, name);
    return this.#files.has(name);
  }

  // deno-lint-ignore require-await -- as above
  async open(name: string): Promise<FileReader> {
    assertFileName(this, name);
    const uri = `${this.uri}/${name}`, file = this.#files.get(name);
    if (!file) throw new StorageNotFoundError(`Cannot open "${uri}" as it is not there: check the model`);
    return {
      uri,
      size: file.size,
      read: (offset, length) => this.storage.read(file, offset, length, this.signal),
      close: () => Promise.resolve(),
    };
  }

  folder(name: string): Folder {
    return new ListedFolder(this.storage, `${this.#path}/${name}`, [], this.signal);
  }

  folders(): Promise<string[]> {
    return Promise.resolve([]);
  }
}
