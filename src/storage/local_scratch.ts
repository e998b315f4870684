/**
 * Scratch files on this machine's disk. Deno only.
 *
 * @module
 */
import { StorageDeniedError } from "../errors.ts";
import type { Scratch } from "../storage.ts";

/**
 * Opens a scratch file in a folder, which is made if needed; without one, in the system's folder for such files. The name
 * is removed at once, so that nothing stays behind, whatever ends the process; on Windows it is removed at the end.
 *
 * @throws {StorageDeniedError} If none can be written.
 */
export function openLocalScratch(folder: string | null): Scratch {
  try {
    if (folder !== null) Deno.mkdirSync(folder, { recursive: true });
    const path = Deno.makeTempFileSync({ prefix: "lowrank-", ...(folder === null ? {} : { dir: folder }) });
    const file = Deno.openSync(path, { read: true, write: true });
    const staysNamed = Deno.build.os === "windows";
    if (!staysNamed) Deno.removeSync(path);
    return new LocalScratch(file, path, staysNamed);
  } catch (error) {
    throw denied(folder ?? "the system's temporary folder", error);
  }
}

class LocalScratch implements Scratch {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #staysNamed: boolean;
  #size = 0;

  constructor(file: Deno.FsFile, path: string, staysNamed: boolean) {
    this.#file = file;
    this.#path = path;
    this.#staysNamed = staysNamed;
  }

  append(bytes: Uint8Array): void {
    try {
      this.#file.seekSync(this.#size, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
    } catch (error) {
      throw denied(this.#path, error);
    }
    this.#size += bytes.length;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.#size)) {
      throw new RangeError(
        `Cannot read bytes ${offset}..${offset + length} of a scratch file as it has ${this.#size}`,
      );
    }
    const bytes = new Uint8Array(length);
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    for (let done = 0; done < length;) {
      done += this.#file.readSync(bytes.subarray(done)) ?? cutShort(this.#path);
    }
    return bytes;
  }

  close(): void {
    this.#file.close();
    if (this.#staysNamed) Deno.removeSync(this.#path);
  }
}

function cutShort(path: string): never {
  throw new RangeError(`Cannot read on in "${path}": it was cut while it was open`);
}

function denied(path: string, error: unknown): StorageDeniedError {
  return new StorageDeniedError(
    `Cannot keep tokens in a scratch file at "${path}" (${
      (error as Error).message
    }): free some room, or set ` +
      `XDG_CACHE_HOME to a folder that can be written to`,
    { cause: error },
  );
}
