/**
 * Open files of this machine's disk. Deno only.
 *
 * @module
 */
import type { CopyOptions, FileReader, FileWriter } from "../storage.ts";
import { copyFile } from "./local_copy.ts";
import { storageError } from "./local_errors.ts";

/** A file that is open to read. */
export class LocalReader implements FileReader {
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

/** A file that grows under a hidden name until it takes its own. */
export class LocalWriter implements FileWriter {
  readonly #folder: string;
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: Deno.FsFile;
  #open = true;

  /** @param temporary The hidden name, open as `file`. */
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

/** Writes all bytes, however many calls it takes. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

/** Makes a rename durable. Windows has no such call for folders and does not need it. */
export async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await folder.sync();
}
