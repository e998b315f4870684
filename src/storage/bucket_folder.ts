/**
 * The files directly below a prefix of a bucket, read in ranges where they are.
 *
 * @module
 */
import { assertFileName, type FileReader, type ReadableFolder } from "../storage.ts";
import type { StorageManager, StoredFile } from "../storage_manager.ts";

export class BucketFolder implements ReadableFolder {
  readonly uri: string;
  readonly #manager: StorageManager;
  readonly #prefix: string;
  readonly #readRange: ReadRange;

  /** @param prefix Name of the folder without a slash at the end; empty for the whole bucket. */
  constructor(manager: StorageManager, prefix: string, readRange: ReadRange) {
    this.uri = prefix === "" ? manager.uri : manager.uriOf(prefix);
    this.#manager = manager;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.#readRange = readRange;
  }

  async list(): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of this.#manager.list(this.#prefix)) {
      const rest = name.slice(this.#prefix.length);
      if (rest !== "" && !rest.includes("/")) names.push(rest);
    }
    return names.sort();
  }

  async exists(name: string): Promise<boolean> {
    assertFileName(this, name);
    return await this.#manager.exists(this.#prefix + name);
  }

  async open(name: string): Promise<FileReader> {
    assertFileName(this, name);
    const file = await this.#manager.stat(this.#prefix + name);
    const uri = this.#manager.uriOf(file.name);
    return {
      uri,
      size: file.size,
      read: (offset, length) => this.#readRange(file, offset, length),
      close: () => Promise.resolve(),
    };
  }
}

/** Bytes of the version of a file that was looked at. @throws {RangeError} If the range reaches beyond it. */
export type ReadRange = (
  file: StoredFile,
  offset: number,
  length: number,
) => Promise<Uint8Array<ArrayBuffer>>;
