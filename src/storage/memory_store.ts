/**
 * A bucket in memory: for tests, and for a page that wants one.
 *
 * @module
 */
import { crc32c } from "../crc32c.ts";
import { StorageConflictError, StorageNotFoundError } from "../errors.ts";
import type { FilePage, PageRequest, StoredFile, WriteCondition } from "../storage_manager.ts";
import { crcHex } from "./checksums.ts";
import { conflict, notFound } from "./failures.ts";
import { ObjectStorageManager } from "./object_storage_manager.ts";
import type {
  ObjectStore,
  OrderedUpload,
  Part,
  PartUpload,
  PutOptions,
  UploadStart,
} from "./object_store.ts";
import type { RetryPolicy } from "./retry.ts";

const PAGE_SIZE = 1000;

/** Sizes that a test may make small. */
export interface MemoryStoreOptions {
  readonly largestPut?: number;
  readonly partBytes?: number;
}

interface MemoryObject {
  readonly file: StoredFile;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The files of one bucket that lives in memory. */
export class MemoryStorageManager extends ObjectStorageManager {
  /**
   * A bucket that lives as long as this object.
   *
   * @param bucket Name of the bucket, for URIs.
   */
  constructor(bucket = "bucket", options: MemoryStoreOptions & { readonly retries?: RetryPolicy } = {}) {
    super(new MemoryStore(bucket, options), options.retries);
  }
}

export class MemoryStore implements ObjectStore {
  readonly uri: string;
  readonly largestPut: number;
  readonly #partBytes: number;
  readonly #objects = new Map<string, MemoryObject>();
  readonly #uploads = new Map<string, Uint8Array[]>();
  #writes = 0;

  constructor(bucket = "bucket", { largestPut = 8 << 20, partBytes = 8 << 20 }: MemoryStoreOptions = {}) {
    this.uri = `memory://${bucket}`;
    this.largestPut = largestPut;
    this.#partBytes = partBytes;
  }

  // deno-lint-ignore require-await -- async so that a missing file rejects
  async head(name: string): Promise<StoredFile> {
    return this.#object("look at", name).file;
  }

  page({ prefix = "", pageSize = PAGE_SIZE, pageToken }: PageRequest): Promise<FilePage> {
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix)).sort();
    const from = pageToken ? names.findIndex((name) => name > pageToken) : 0;
    const shown = from < 0 ? [] : names.slice(from, from + pageSize);
    const isLast = from < 0 || from + pageSize >= names.length;
    return Promise.resolve({
      files: shown.map((name) => this.#objects.get(name)!.file),
      nextPageToken: isLast ? null : shown.at(-1)!,
    });
  }

  // deno-lint-ignore require-await -- as above
  async open(file: StoredFile, offset: number, end: number): Promise<AsyncIterable<Uint8Array>> {
    const { file: now, bytes } = this.#object("read", file.name);
    if (now.version !== file.version) throw conflict({ verb: "read", uri: `${this.uri}/${file.name}` });
    return ReadableStream.from([bytes.slice(offset, end)]);
  }

  // deno-lint-ignore require-await -- as above
  async put(
    name: string,
    bytes: Uint8Array<ArrayBuffer>,
    { condition }: PutOptions,
  ): Promise<StoredFile> {
    this.#check("write", name, condition);
    const version = `${++this.#writes}`;
    const checksum = { algorithm: "crc32c", hex: crcHex(crc32c(bytes)) } as const;
    const file = { name, size: bytes.length, version, checksum };
    this.#objects.set(name, { file, bytes: bytes.slice() });
    return file;
  }

  // deno-lint-ignore require-await -- as above
  async startUpload(name: string, { condition }: UploadStart): Promise<PartUpload> {
    this.#check("write", name, condition);
    const token = crypto.randomUUID();
    this.#uploads.set(token, []);
    return this.#upload(name, token);
  }

  resumeUpload(name: string, token: string | null): Promise<PartUpload | null> {
    return Promise.resolve(token && this.#uploads.has(token) ? this.#upload(name, token) : null);
  }

  // deno-lint-ignore require-await -- as above
  async remove(name: string, condition: WriteCondition | null): Promise<void> {
    this.#object("remove", name);
    this.#check("remove", name, condition);
    this.#objects.delete(name);
  }

  #upload(name: string, token: string): OrderedUpload {
    const parts = () => {
      const found = this.#uploads.get(token);
      if (!found) {
        throw new StorageNotFoundError(`The upload of "${this.uri}/${name}" is gone: begin it again`);
      }
      return found;
    };
    return {
      token,
      partBytes: this.#partBytes,
      sent: async () => await Promise.resolve(parts().reduce((sum, { length }) => sum + length, 0)),
      send: ({ bytes }: Part) => Promise.resolve(void parts().push(bytes.slice())),
      finish: async (options) => {
        const whole = new Uint8Array(await new Blob(parts() as BlobPart[]).arrayBuffer());
        const file = await this.put(name, whole, options);
        this.#uploads.delete(token);
        return file;
      },
      abort: () => Promise.resolve(void this.#uploads.delete(token)),
    };
  }

  #object(verb: "look at" | "read" | "remove", name: string): MemoryObject {
    const object = this.#objects.get(name);
    if (!object) throw notFound({ verb, uri: `${this.uri}/${name}` });
    return object;
  }

  /** @throws {StorageConflictError} */
  #check(verb: "write" | "remove", name: string, condition: WriteCondition | null): void {
    if (!condition) return;
    const version = this.#objects.get(name)?.file.version;
    const holds = "ifAbsent" in condition ? version === undefined : version === condition.ifVersion;
    if (!holds) throw conflict({ verb, uri: `${this.uri}/${name}` }) satisfies StorageConflictError;
  }
}
