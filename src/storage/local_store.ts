/**
 * A folder of this machine's disk that stands for a bucket. Deno only.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { StorageBucketError, StorageDeniedError, StorageNotFoundError } from "../errors.ts";
import type { FilePage, PageRequest, StoredFile, WriteCondition } from "../storage_manager.ts";
import { type Attempt, conflict, notFound } from "./failures.ts";
import { copyFile } from "./local_copy.ts";
import { ObjectStorageManager } from "./object_storage_manager.ts";
import type { ObjectStore, Part, PartUpload, PutOptions, UnorderedUpload } from "./object_store.ts";

const PAGE_SIZE = 1000;
const PART_BYTES = 8 << 20;
/** From here on the system's copy is faster than reading and writing. */
const LARGEST_PUT = 1 << 20;
const CHUNK_BYTES = 1 << 20;
/** Names of files that are being written; no listing shows them. */
const TEMPORARY = /(^|\/)\.[^/]+\.[0-9a-f]{8}\.partial$/;

/** The files below a folder of this machine. */
export class LocalStorageManager extends ObjectStorageManager {
  /**
   * Touches nothing yet.
   *
   * @param path Of the folder that stands for a bucket.
   */
  constructor(path: string) {
    super(new LocalStore(path));
  }
}

/**
 * Files below `path`. A version is made of time, size and inode; there are no checksums. `ifAbsent` is atomic, `ifVersion`
 * is looked at just before the file is replaced.
 *
 * @internal
 */
export class LocalStore implements ObjectStore {
  readonly uri: string;
  readonly largestPut = LARGEST_PUT;
  readonly sums = false;

  constructor(path: string) {
    this.uri = path.length > 1 ? path.replace(/\/+$/, "") : path;
  }

  async head(name: string): Promise<StoredFile> {
    const attempt = this.#attempt("look at", name);
    try {
      return fileOf(name, await Deno.stat(attempt.uri), attempt);
    } catch (error) {
      throw await this.#failure(attempt, error);
    }
  }

  async page({ prefix = "", pageSize = PAGE_SIZE, pageToken }: PageRequest): Promise<FilePage> {
    const attempt = this.#attempt("list", prefix);
    try {
      if (!(await Deno.stat(this.uri)).isDirectory) throw new Deno.errors.NotADirectory(this.uri);
    } catch (error) {
      throw await this.#failure(attempt, error);
    }
    const names: string[] = [];
    const slash = prefix.lastIndexOf("/");
    await this.#walk(slash < 0 ? "" : prefix.slice(0, slash + 1), prefix, names);
    const rest = names.sort().filter((name) => !pageToken || name > pageToken);
    const shown = rest.slice(0, pageSize);
    return {
      files: await Promise.all(shown.map((name) => this.head(name))),
      nextPageToken: rest.length > shown.length ? shown.at(-1)! : null,
    };
  }

  async open(file: StoredFile, offset: number, end: number): Promise<AsyncIterable<Uint8Array>> {
    const attempt = this.#attempt("read", file.name);
    let opened: Deno.FsFile | null = null;
    try {
      opened = await Deno.open(attempt.uri);
      const { version } = fileOf(file.name, await opened.stat(), attempt);
      if (version !== file.version) throw conflict(attempt);
      if (offset > 0) await opened.seek(offset, Deno.SeekMode.Start);
      return chunksOf(opened, end - offset);
    } catch (error) {
      opened?.close();
      throw await this.#failure(attempt, error);
    }
  }

  async copied(file: StoredFile, copy: (path: string) => Promise<number>): Promise<number> {
    const attempt = this.#attempt("read", file.name);
    let size: number;
    try {
      size = await copy(attempt.uri);
    } catch (error) {
      await this.head(file.name); // it may be gone
      throw error;
    }
    if ((await this.head(file.name)).version !== file.version) throw conflict(attempt);
    return size;
  }

  async put(name: string, bytes: Uint8Array<ArrayBuffer>, options: PutOptions): Promise<StoredFile> {
    const upload = this.#upload(name, crypto.randomUUID().slice(0, 8));
    try {
      await upload.send({ offset: 0, bytes, crc32c: 0 });
      return await upload.finish(options);
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  startUpload(name: string): Promise<PartUpload> {
    return Promise.resolve(this.#upload(name, crypto.randomUUID().slice(0, 8)));
  }

  resumeUpload(name: string, token: string | null): Promise<PartUpload | null> {
    return Promise.resolve(token && /^[0-9a-f]{8}$/.test(token) ? this.#upload(name, token, true) : null);
  }

  async remove(name: string, condition: WriteCondition | null): Promise<void> {
    const attempt = this.#attempt("remove", name);
    try {
      if (condition) await this.#check(attempt, name, condition);
      await Deno.remove(attempt.uri);
    } catch (error) {
      throw await this.#failure(attempt, error);
    }
  }

  /** @param isResumed Whether another process began it, so that parts may be there: they are compared byte by byte. */
  #upload(name: string, token: string, isResumed = false): UnorderedUpload {
    const attempt = this.#attempt("write", name);
    const slash = attempt.uri.lastIndexOf("/");
    const folder = attempt.uri.slice(0, slash);
    const temporary = `${folder}/.${attempt.uri.slice(slash + 1)}.${token}.partial`;
    const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        throw await this.#failure(attempt, error);
      }
    };
    return {
      token,
      partBytes: PART_BYTES,
      holds: (part) => isResumed ? guarded(() => holdsBytes(temporary, part)) : false,
      begins: async (sent) => ((await Deno.stat(temporary).catch(() => null))?.size ?? 0) >= sent,
      send: ({ offset, bytes }) =>
        guarded(async () => {
          using file = await openWithin(folder, temporary);
          if (offset > 0) await file.seek(offset, Deno.SeekMode.Start);
          for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
        }),
      copy: (path, options) =>
        guarded(async () => {
          await Deno.remove(temporary).catch(() => {}); // of a copy that was broken off
          using file = await openWithin(folder, temporary);
          await copyFile(path, { path: temporary, file }, options);
        }),
      finish: ({ condition }) =>
        guarded(async () => {
          await syncFile(temporary);
          if (condition && "ifAbsent" in condition) {
            await Deno.link(temporary, attempt.uri); // fails where something has the name
            await Deno.remove(temporary);
          } else {
            if (condition) await this.#check(attempt, name, condition);
            await Deno.rename(temporary, attempt.uri);
          }
          return await this.head(name);
        }),
      abort: () => Deno.remove(temporary).catch(() => {}),
    };
  }

  async #walk(folder: string, prefix: string, names: string[]): Promise<void> {
    try {
      for await (const { name, isDirectory, isSymlink } of Deno.readDir(`${this.uri}/${folder}`)) {
        const path = folder + name;
        if (isDirectory && (path.startsWith(prefix) || prefix.startsWith(`${path}/`))) {
          await this.#walk(`${path}/`, prefix, names);
        } else if (!isDirectory && path.startsWith(prefix) && !TEMPORARY.test(path)) {
          if (!isSymlink || (await Deno.stat(`${this.uri}/${path}`).catch(() => null))?.isFile) {
            names.push(path);
          }
        }
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        throw await this.#failure(this.#attempt("list", folder), error);
      }
    }
  }

  /** @throws {StorageConflictError} */
  async #check(attempt: Attempt, name: string, condition: WriteCondition): Promise<void> {
    const there = await this.head(name).catch((error) => {
      if (error instanceof StorageNotFoundError) return null;
      throw error;
    });
    const holds = "ifAbsent" in condition ? there === null : there?.version === condition.ifVersion;
    if (!holds) throw conflict(attempt);
  }

  #attempt(verb: Attempt["verb"], name: string): Attempt {
    return { verb, uri: `${this.uri}/${name}` };
  }

  /** The error that a caller can act on, for one of the runtime's. Others come back as they are. */
  async #failure(attempt: Attempt, error: unknown): Promise<unknown> {
    if (error instanceof Deno.errors.AlreadyExists) return conflict(attempt);
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      const root = await Deno.stat(this.uri).catch(() => null);
      if (root?.isDirectory) return notFound(attempt);
      return new StorageBucketError(
        `Cannot ${attempt.verb} "${attempt.uri}" as there is no folder "${this.uri}": check the path`,
      );
    }
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
      return new StorageDeniedError(
        `Cannot ${attempt.verb} "${attempt.uri}" as permissions forbid it: check owner and mode (ls -l), and ` +
          "--allow-read and --allow-write",
      );
    }
    return error;
  }
}

function fileOf(name: string, info: Deno.FileInfo, attempt: Attempt): StoredFile {
  if (!info.isFile) throw notFound(attempt);
  const version = `${info.mtime?.getTime() ?? 0}-${info.size}-${info.ino ?? 0}`;
  return { name, size: info.size, version, checksum: null };
}

/** Whether a file has these bytes at their place. */
async function holdsBytes(path: string, { offset, bytes }: Part): Promise<boolean> {
  using file = await Deno.open(path);
  await file.seek(offset, Deno.SeekMode.Start);
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let done = 0; done < bytes.length;) {
    const count = await file.read(chunk.subarray(0, bytes.length - done));
    if (count === null) return false;
    if (Buffer.compare(chunk.subarray(0, count), bytes.subarray(done, done + count)) !== 0) return false;
    done += count;
  }
  return true;
}

/** Opens a file to write to it; makes its folder only where there is none, since most have one. */
async function openWithin(folder: string, path: string): Promise<Deno.FsFile> {
  const options = { write: true, create: true };
  try {
    return await Deno.open(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await Deno.mkdir(folder, { recursive: true });
    return await Deno.open(path, options);
  }
}

async function syncFile(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true });
  await file.sync();
}

/** The next bytes of an open file, which is closed after them. */
async function* chunksOf(file: Deno.FsFile, length: number): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, length));
  try {
    for (let left = length; left > 0;) {
      const count = await file.read(chunk.subarray(0, left));
      if (count === null) return;
      left -= count;
      yield chunk.subarray(0, count);
    }
  } finally {
    file.close();
  }
}
