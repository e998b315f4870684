/**
 * A `StorageManager` over any {@link ObjectStore}: what the services have in common.
 *
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";
import type { Folder, ReadableFolder } from "../storage.ts";
import type {
  ByteRange,
  FilePage,
  FolderTransferOptions,
  PageRequest,
  StorageManager,
  StoredFile,
  StreamedUpload,
  TransferOptions,
  TransferSummary,
  UploadNote,
  UploadOptions,
  WriteCondition,
} from "../storage_manager.ts";
import { moveAll } from "../storage_manager/move_all.ts";
import { BucketFolder } from "./bucket_folder.ts";
import { isStored } from "./checksums.ts";
import { continueDownload } from "./continued_download.ts";
import { bytesOf, download, type Transfer } from "./download.ts";
import { filesBelow } from "./files_below.ts";
import { assertObjectName, folderName, lastPart } from "./object_names.ts";
import type { ObjectStore } from "./object_store.ts";
import { PartBuffers } from "./part_buffers.ts";
import { DEFAULT_RETRIES, retried, type RetryPolicy } from "./retry.ts";
import { resumeStreamedUpload, startStreamedUpload } from "./streamed_upload.ts";
import { put, upload } from "./upload.ts";
import { UploadSessions } from "./upload_sessions.ts";

/** Parts of files that are uploaded at the same time. With 8 MiB each they fill a fast line, and memory stays small. */
const PARTS_AT_ONCE = 4;

/**
 * The storage manager that any {@link ObjectStore} makes possible.
 *
 * @internal
 */
export class ObjectStorageManager implements StorageManager {
  readonly uri: string;
  readonly #store: ObjectStore;
  readonly #retries: RetryPolicy;

  constructor(store: ObjectStore, retries: RetryPolicy = DEFAULT_RETRIES) {
    this.uri = store.uri;
    this.#store = store;
    this.#retries = retries;
  }

  uriOf(name: string): string {
    return `${this.uri}/${name}`;
  }

  async exists(name: string): Promise<boolean> {
    if (name === "" || name.endsWith("/")) {
      return (await this.listPage({ prefix: name, pageSize: 1 })).files.length > 0;
    }
    try {
      await this.stat(name);
      return true;
    } catch (error) {
      if (error instanceof StorageNotFoundError) return false;
      throw error;
    }
  }

  stat(name: string): Promise<StoredFile> {
    return this.#stat(name);
  }

  async listPage(request: PageRequest = {}): Promise<FilePage> {
    return await retried(this.#retries, request.signal, () => this.#store.page(request));
  }

  async *list(prefix = "", signal?: AbortSignal): AsyncGenerator<StoredFile> {
    let pageToken: string | null = null;
    do {
      const page: FilePage = await this.listPage({ prefix, pageToken, ...(signal ? { signal } : {}) });
      yield* page.files;
      pageToken = page.nextPageToken;
    } while (pageToken !== null);
  }

  async read(
    name: string,
    { offset = 0, length }: Partial<ByteRange> = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const file = await this.stat(name);
    return await this.#readRange(file, offset, length ?? file.size - offset);
  }

  async *stream(
    file: StoredFile,
    { offset = 0, length = file.size - offset }: Partial<ByteRange> = {},
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    this.#assertRange(file, offset, length);
    yield* bytesOf({ store: this.#store, retries: this.#retries, signal }, file, offset, offset + length);
  }

  async startUpload(
    name: string,
    size: number,
    condition: WriteCondition | null = null,
  ): Promise<StreamedUpload> {
    assertObjectName(this.uri, name);
    return await startStreamedUpload({ store: this.#store, retries: this.#retries, name, condition }, size);
  }

  async resumeUpload(
    name: string,
    size: number,
    note: UploadNote,
    condition: WriteCondition | null = null,
  ): Promise<StreamedUpload | null> {
    assertObjectName(this.uri, name);
    const target = { store: this.#store, retries: this.#retries, name, condition };
    return await resumeStreamedUpload(target, size, note);
  }

  async write(
    name: string,
    bytes: Uint8Array,
    condition: WriteCondition | null = null,
    signal?: AbortSignal,
  ): Promise<StoredFile> {
    assertObjectName(this.uri, name);
    const job = { store: this.#store, retries: this.#retries, signal, name, condition };
    return await put(job, new Uint8Array(bytes));
  }

  async remove(
    name: string,
    condition: { readonly ifVersion: string } | null = null,
    signal?: AbortSignal,
  ): Promise<void> {
    assertObjectName(this.uri, name);
    try {
      await retried(this.#retries, signal, () => this.#store.remove(name, condition, signal));
    } catch (error) {
      if (condition || !(error instanceof StorageNotFoundError)) throw error;
    }
  }

  async downloadFile(
    name: string,
    to: Folder,
    { as, ...options }: TransferOptions & { readonly as?: string } = {},
  ): Promise<StoredFile> {
    const file = await this.#stat(name, options.signal);
    const writer = await to.create(as ?? lastPart(name));
    await download(this.#transfer(options, file), file, writer);
    return file;
  }

  async continueDownload(
    file: StoredFile,
    to: Folder,
    { as, ...options }: TransferOptions & { readonly as?: string } = {},
  ): Promise<void> {
    assertObjectName(this.uri, file.name);
    const own = as ?? lastPart(file.name), { signal = new AbortController().signal } = options;
    const known = { ...await this.#withChecksum(file, signal), version: file.version };
    await continueDownload(this.#transfer(options, file), known, to, own);
  }

  async uploadFile(
    from: ReadableFolder,
    file: string,
    name: string,
    { condition, sessions, ...options }: UploadOptions = {},
  ): Promise<StoredFile> {
    assertObjectName(this.uri, name);
    const reader = await from.open(file);
    try {
      return await upload({
        ...this.#transfer(options, { name, size: reader.size }),
        name,
        condition: condition ?? null,
        sessions: sessions ? new UploadSessions(sessions) : null,
        buffers: new PartBuffers(PARTS_AT_ONCE),
      }, reader);
    } finally {
      await reader.close();
    }
  }

  async downloadFolder(
    prefix: string,
    to: Folder,
    options: FolderTransferOptions = {},
  ): Promise<TransferSummary> {
    const folder = folderName(prefix);
    const all = await Array.fromAsync(this.list(folder, options.signal));
    // names that end with a slash are what consoles make to show an empty folder
    const { include = () => true } = options;
    const files = all.filter(({ name }) => !name.endsWith("/") && include(name.slice(folder.length)));
    if (files.length === 0) throw nothingBelow(this.uri, folder);
    return await moveAll(files, options, async (file, moved, signal) => {
      const path = file.name.slice(folder.length).split("/");
      const into = path.length === 1 ? to : to.folder(path.slice(0, -1).join("/"));
      const own = path.at(-1)!;
      const stored = await this.#withChecksum(file, signal);
      if (options.skipSame && await into.exists(own) && await isStored(into, own, stored, this.#store)) {
        return false;
      }
      const writer = await into.create(own);
      await download({ store: this.#store, retries: this.#retries, signal, moved }, stored, writer);
      return true;
    });
  }

  async uploadFolder(
    from: Folder,
    prefix: string,
    options: FolderTransferOptions = {},
  ): Promise<TransferSummary> {
    const { include = () => true } = options;
    const files = (await filesBelow(from)).filter(({ name }) => include(name));
    if (files.length === 0) {
      throw new StorageNotFoundError(`Cannot upload "${from.uri}" as it holds no file: check the path`);
    }
    const prefixed = folderName(prefix);
    const there = new Map<string, StoredFile>();
    if (options.skipSame) {
      for await (const file of this.list(prefixed, options.signal)) there.set(file.name, file);
    }
    const sessions = options.sessions ? new UploadSessions(options.sessions) : null;
    const buffers = new PartBuffers(PARTS_AT_ONCE);
    return await moveAll(files, options, async ({ name, folder, file }, moved, signal) => {
      const target = prefixed + name, listed = there.get(target);
      if (listed && await isStored(folder, file, await this.#withChecksum(listed, signal), this.#store)) {
        return false;
      }
      const [store, retries] = [this.#store, this.#retries];
      const reader = await folder.open(file);
      try {
        const job = { store, retries, signal, moved, name: target, condition: null, sessions, buffers };
        await upload(job, reader);
      } finally {
        await reader.close();
      }
      return true;
    });
  }

  folder(prefix: string): ReadableFolder {
    const name = folderName(prefix).slice(0, -1);
    return new BucketFolder(this, name, (file, offset, length) => this.#readRange(file, offset, length));
  }

  async #stat(name: string, signal?: AbortSignal): Promise<StoredFile> {
    assertObjectName(this.uri, name);
    return await retried(this.#retries, signal, () => this.#store.head(name, signal));
  }

  /** S3 does not tell checksums in listings. */
  async #withChecksum(file: StoredFile, signal: AbortSignal): Promise<StoredFile> {
    const isUnknown = file.checksum === null && (this.#store.sums ?? true);
    return isUnknown ? await this.#stat(file.name, signal) : file;
  }

  #transfer(
    { signal, onProgress }: TransferOptions,
    file: { readonly name: string; readonly size: number } = { name: "", size: 0 },
  ): Transfer<ObjectStore> {
    let bytes = 0;
    const moved = (more: number) => {
      bytes += more;
      const files = bytes === file.size ? 1 : 0;
      onProgress?.({ name: file.name, files, totalFiles: 1, bytes, totalBytes: file.size });
    };
    return { store: this.#store, retries: this.#retries, signal, moved };
  }

  #assertRange(file: StoredFile, offset: number, length: number): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= file.size)) {
      throw new RangeError(
        `Cannot read bytes ${offset}..${offset + length} of "${
          this.uriOf(file.name)
        }" as it has ${file.size}`,
      );
    }
  }

  async #readRange(file: StoredFile, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#assertRange(file, offset, length);
    const whole = new Uint8Array(length);
    const request = { store: this.#store, retries: this.#retries, signal: undefined };
    let at = 0;
    for await (const bytes of bytesOf(request, file, offset, offset + length)) {
      whole.set(bytes, at);
      at += bytes.length;
    }
    return whole;
  }
}

function nothingBelow(uri: string, folder: string): StorageNotFoundError {
  return new StorageNotFoundError(`Cannot download "${uri}/${folder}" as nothing is there: check the name`);
}
