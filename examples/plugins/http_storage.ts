/**
 * Files of a web server, to read: `https://host/folder/file`. A server has no listing, so that files are named one by one.
 *
 *     lowrank train --plugin examples/plugins/http_storage.ts --training-data-path https://host/train.jsonl ...
 *
 * @module
 */
import {
  definePlugin,
  ObjectStorageManager,
  type ObjectStore,
  type PartUpload,
  StorageConflictError,
  StorageDeniedError,
  StorageInterruptedError,
  StorageNotFoundError,
  type StoredFile,
} from "lowrank";

class HttpStore implements ObjectStore {
  readonly largestPut = 0;

  /** @param uri Scheme and host. */
  constructor(readonly uri: string) {}

  async head(name: string, signal?: AbortSignal): Promise<StoredFile> {
    const { headers } = await this.#request(name, { method: "HEAD", signal: signal ?? null });
    const size = Number(headers.get("content-length") ?? NaN);
    if (!Number.isInteger(size)) throw new Error(`Cannot look at "${this.#at(name)}": its size is not told`);
    return { name, size, version: versionOf(headers), checksum: null };
  }

  async open(
    file: StoredFile,
    offset: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const headers = { range: `bytes=${offset}-${end - 1}` };
    const response = await this.#request(file.name, { headers, signal: signal ?? null });
    const isWhole = response.status === 200 && offset === 0 && end === file.size;
    if (versionOf(response.headers) !== file.version || (response.status !== 206 && !isWhole)) {
      await response.body?.cancel();
      throw new StorageConflictError(
        `Cannot read bytes ${offset}..${end} of "${
          this.#at(file.name)
        }": it has changed, or is sent whole only`,
      );
    }
    return interruptible(response.body!, this.#at(file.name), signal);
  }

  page(): Promise<never> {
    return Promise.reject(
      new StorageDeniedError(`Cannot list "${this.uri}" as web servers have no listing: name each file`),
    );
  }

  put(name: string): Promise<StoredFile> {
    return this.#readOnly(name);
  }

  startUpload(name: string): Promise<PartUpload> {
    return this.#readOnly(name);
  }

  resumeUpload(): Promise<null> {
    return Promise.resolve(null);
  }

  remove(name: string): Promise<void> {
    return this.#readOnly(name);
  }

  /** A request that was answered well. @throws The errors that a job tells apart; those that may pass are tried again. */
  async #request(name: string, init: RequestInit): Promise<Response> {
    const at = this.#at(name);
    const url = `${this.uri}/${name.split("/").map(encodeURIComponent).join("/")}`;
    let response: Response;
    try {
      response = await fetch(url, init);
    } catch (error) {
      if (init.signal?.aborted) throw init.signal.reason;
      throw new StorageInterruptedError(`Cannot read "${at}" as the connection failed`, { cause: error });
    }
    const { ok, status } = response;
    if (ok) return response;
    await response.body?.cancel();
    if (status === 404 || status === 410) {
      throw new StorageNotFoundError(`Cannot read "${at}": it is not there`);
    }
    if (status === 401 || status === 403) {
      throw new StorageDeniedError(`Cannot read "${at}": it is forbidden`);
    }
    throw new StorageInterruptedError(`Cannot read "${at}": the server answered with status ${status}`);
  }

  #readOnly(name: string): Promise<never> {
    return Promise.reject(
      new StorageDeniedError(`Cannot write "${this.#at(name)}" as web servers are only read here`),
    );
  }

  #at(name: string): string {
    return `${this.uri}/${name}`;
  }
}

function versionOf(headers: Headers): string {
  return headers.get("etag") ?? headers.get("last-modified") ?? "";
}

async function* interruptible(
  body: AsyncIterable<Uint8Array>,
  at: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new StorageInterruptedError(`Cannot read "${at}" to its end as the connection broke`, {
      cause: error,
    });
  }
}

export default definePlugin({
  apiVersion: 1,
  name: "http-storage",
  storage: [{
    schemes: ["http", "https"],
    open(uri) {
      const { origin, pathname } = new URL(uri);
      return {
        storage: new ObjectStorageManager(new HttpStore(origin)),
        name: decodeURIComponent(pathname.slice(1)),
      };
    },
  }],
});
