/**
 * A folder of this machine's disk that stands for a bucket. Deno only.
 *
 * @module
 */
import { Crc32c } from "../crc32c.ts";
import {
  StorageBucketError,
  StorageDamagedError,
  StorageDeniedError,
  StorageNotFoundError,
} from "../errors.ts";
import type { FilePage, PageRequest, StoredFile, WriteCondition } from "../storage_manager.ts";
import { type Attempt, conflict, notFound } from "./failures.ts";
import { ObjectStorageManager } from "./object_storage_manager.ts";
import type { ObjectStore, PartUpload, PutOptions, UploadStart } from "./object_store.ts";

const PAGE_SIZE = 1000;
const PART_BYTES = 8 << 20;
const CHUNK_BYTES = 1 << 20;
/** Names of files that are being written; no listing shows them. */
const TEMPORARY = /(^|\/)\.[^/]+\.[0-9a-f]{8}\.partial$/;

/** The files below a folder of this machine. */
export class LocalStorageManager extends ObjectStorageManager {
  constructor(path: string) {
    super(new LocalStore(path));
  }
}

/**
 * Files below `path`. A version is made of time, size and inode; there are no checksums. `ifAbsent` is atomic, `ifVersion`
 * is looked at just before the file is replaced.
 */
export class LocalStore implements ObjectStore {
  readonly uri: string;
  readonly largestPut = PART_BYTES;

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
      await opened.seek(offset, Deno.SeekMode.Start);
      return chunksOf(opened, end - offset);
    } catch (error) {
      opened?.close();
      throw await this.#failure(attempt, error);
    }
  }

  async put(name: string, bytes: Uint8Array<ArrayBuffer>, options: PutOptions): Promise<StoredFile> {
    const upload = this.#upload(name, crypto.randomUUID().slice(0, 8));
    try {
      await upload.send({ offset: 0, bytes, crc32c: options.crc32c });
      return await upload.finish(options);
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  startUpload(name: string, _: UploadStart): Promise<PartUpload> {
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

  /** @param isResumed Whether its beginning is another process's, and has to be looked at again. */
  #upload(name: string, token: string, isResumed = false): PartUpload {
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
      sent: () =>
        Deno.stat(temporary).then(({ size }) => size, (error) => {
          if (error instanceof Deno.errors.NotFound) return 0;
          throw error;
        }),
      send: ({ offset, bytes }) =>
        guarded(async () => {
          await Deno.mkdir(folder, { recursive: true });
          using file = await Deno.open(temporary, { write: true, create: true });
          await file.truncate(offset);
          await file.seek(offset, Deno.SeekMode.Start);
          for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
          await file.sync();
        }),
      finish: ({ condition, crc32c }) =>
        guarded(async () => {
          if (isResumed) await checkSum(temporary, crc32c, attempt);
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

/** @throws {StorageDamagedError} If a file has another CRC-32C. */
async function checkSum(path: string, want: number, { uri }: Attempt): Promise<void> {
  const sum = new Crc32c();
  using file = await Deno.open(path);
  const bytes = new Uint8Array(CHUNK_BYTES);
  for (let count; (count = await file.read(bytes)) !== null;) sum.update(bytes.subarray(0, count));
  if (sum.value === want) return;
  throw new StorageDamagedError(
    `The upload of "${uri}" went on with another file than it began with: upload it again`,
  );
}

/** The next bytes of an open file, which is closed after them. */
function chunksOf(file: Deno.FsFile, length: number): ReadableStream<Uint8Array> {
  let left = length;
  return new ReadableStream({
    async pull(controller) {
      const bytes = new Uint8Array(Math.min(CHUNK_BYTES, left));
      const count = left === 0 ? null : await file.read(bytes);
      if (count === null) {
        file.close();
        controller.close();
      } else {
        left -= count;
        controller.enqueue(bytes.subarray(0, count));
      }
    },
    cancel: () => file.close(),
  }, { highWaterMark: 0 });
}
