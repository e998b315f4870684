/**
 * What folders have in common that are only read.
 *
 * @module
 */
import { StorageDeniedError } from "../errors.ts";
import type { FileReader, FileWriter, Folder, FolderWriter } from "../storage.ts";

/** A folder whose writing methods refuse. */
export abstract class ReadOnlyFolder implements Folder {
  abstract readonly uri: string;
  abstract list(): Promise<string[]>;
  abstract exists(name: string): Promise<boolean>;
  abstract open(name: string): Promise<FileReader>;
  abstract folder(name: string): Folder;
  abstract folders(): Promise<string[]>;

  create(name: string): Promise<FileWriter> {
    return this.#refuse(name);
  }

  append(name: string): Promise<void> {
    return this.#refuse(name);
  }

  sync(name: string): Promise<void> {
    return this.#refuse(name);
  }

  truncate(name: string): Promise<void> {
    return this.#refuse(name);
  }

  remove(name: string): Promise<void> {
    return this.#refuse(name);
  }

  createFolder(name: string): Promise<FolderWriter> {
    return this.#refuse(name);
  }

  removeFolder(name: string): Promise<void> {
    return this.#refuse(name);
  }

  removeLeftovers(): Promise<void> {
    return Promise.resolve();
  }

  #refuse(name: string): Promise<never> {
    return Promise.reject(
      new StorageDeniedError(
        `Cannot write "${this.uri}/${name}": it is only read; name a folder of this machine`,
      ),
    );
  }
}
