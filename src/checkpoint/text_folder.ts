/**
 * Texts in memory as the files of a folder, for what a file describes in a form of its own.
 *
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";
import type { FileReader, ReadableFolder } from "../storage.ts";

/** A folder of the texts given, by name; `uri` is what messages call it. */
export class TextFolder implements ReadableFolder {
  readonly uri: string;
  readonly #files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

  constructor(uri: string, texts: ReadonlyMap<string, string>) {
    this.uri = uri;
    this.#files = new Map([...texts].map(([name, text]) => [name, new TextEncoder().encode(text)]));
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#files.keys()].sort());
  }

  exists(name: string): Promise<boolean> {
    return Promise.resolve(this.#files.has(name));
  }

  // deno-lint-ignore require-await -- async so that a missing file rejects
  async open(name: string): Promise<FileReader> {
    const bytes = this.#files.get(name), uri = `${this.uri}/${name}`;
    if (!bytes) throw new StorageNotFoundError(`Cannot open "${uri}" as the file describes no such part`);
    return {
      uri,
      size: bytes.length,
      // deno-lint-ignore require-await -- async so that a bad range rejects
      read: async (offset, length) => {
        if (offset >= 0 && length >= 0 && offset + length <= bytes.length) {
          return bytes.slice(offset, offset + length);
        }
        throw new RangeError(
          `Cannot read bytes ${offset}..${offset + length} of "${uri}" as it has ${bytes.length}`,
        );
      },
      close: () => Promise.resolve(),
    };
  }
}
