/**
 * Requests to the Hub of Hugging Face: what a data set holds, and its files.
 *
 * @module
 */
import { StorageDeniedError, StorageNotFoundError } from "../errors.ts";
import type { FileWriter } from "../storage.ts";
import type { DatasetAddress } from "./hub_address.ts";

/** Tries of a request that fails on its way or at a server that is busy. */
const TRIES = 4;
/** Milliseconds before the second try; twice as long before each later one. */
const FIRST_WAIT_MS = 500;

/** How the Hub is reached. */
export interface HubAccess {
  /** Such as `https://huggingface.co`. */
  readonly endpoint: string;
  /** Sent to the endpoint, and to no server that it refers to. */
  readonly token: string | null;
  readonly fetch?: typeof fetch;
  /** Waits; for tests. */
  readonly sleep?: (ms: number) => Promise<void>;
}

/** A data set as it stood at one commit. */
export interface DatasetRevision {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** A file of a data set. */
export interface HubFile {
  /** From the data set's root, with slashes. */
  readonly path: string;
  /** Bytes; null where the Hub does not tell. */
  readonly size: number | null;
}

export class HubClient {
  readonly #access: HubAccess;

  constructor(access: HubAccess) {
    this.#access = { ...access, endpoint: access.endpoint.replace(/\/+$/, "") };
  }

  /**
   * The commit that a revision stands for, and its files.
   *
   * @throws {StorageNotFoundError} @throws {StorageDeniedError} If there is no such data set, or it may not be read.
   */
  async revision({ repo, revision, uri }: DatasetAddress): Promise<DatasetRevision> {
    const path = `api/datasets/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
    const response = await this.#get(path, uri);
    const { sha, siblings } = await response.json() as { sha?: unknown; siblings?: unknown };
    if (typeof sha !== "string" || !/^[0-9a-f]{7,64}$/.test(sha) || !Array.isArray(siblings)) {
      throw new StorageNotFoundError(
        `Cannot read "${uri}": the answer of ${this.#access.endpoint} is no data set's`,
      );
    }
    const files = siblings.filter(({ rfilename }) => typeof rfilename === "string" && isSafe(rfilename))
      .map(({ rfilename, size }): HubFile => ({
        path: rfilename,
        size: typeof size === "number" ? size : null,
      }));
    return { commit: sha, files };
  }

  /**
   * Writes a file's bytes, from the first again if the connection breaks.
   *
   * @throws {StorageNotFoundError} @throws {StorageDeniedError} If it may not be read, or ends before its time.
   */
  async download(
    { repo, uri }: DatasetAddress,
    commit: string,
    { path, size }: HubFile,
    open: () => Promise<FileWriter>,
  ): Promise<void> {
    const where = `datasets/${repo}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
    const shown = `${uri}/${path}`;
    await this.#retried(shown, async () => {
      const response = await this.#answer(where, shown);
      const file = await open();
      try {
        let received = 0;
        for await (const chunk of response.body ?? []) {
          await file.write(chunk);
          received += chunk.length;
        }
        if (size !== null && received !== size) {
          throw new TypeError(`${received} of ${size} bytes came`);
        }
        await file.commit();
      } finally {
        await file.abort();
      }
    });
  }

  #get(path: string, shown: string): Promise<Response> {
    return this.#retried(shown, () => this.#answer(path, shown));
  }

  /** Calls again what the network, or a server that is busy, keeps from its end. */
  async #retried<T>(shown: string, work: () => Promise<T>): Promise<T> {
    const { sleep = (ms) => new Promise((done) => setTimeout(done, ms)), endpoint } = this.#access;
    for (let tried = 1;; tried++) {
      try {
        return await work();
      } catch (error) {
        // fetch throws TypeError where the connection fails; a busy server is told as one
        if (!(error instanceof TypeError)) throw error;
        if (tried === TRIES) {
          const because = { cause: error };
          throw new HubUnreachableError(
            `Cannot read "${shown}" from ${endpoint} (${error.message}): check the network, and try again`,
            because,
          );
        }
        await sleep(FIRST_WAIT_MS * 2 ** (tried - 1));
      }
    }
  }

  async #answer(path: string, shown: string): Promise<Response> {
    const { endpoint, token, fetch: get = fetch } = this.#access;
    const response = await get(`${endpoint}/${path}`, {
      headers: token === null ? {} : { authorization: `Bearer ${token}` },
    });
    if (response.ok) return response;
    await response.body?.cancel();
    if (response.status === 429 || response.status >= 500) {
      throw new TypeError(`status ${response.status}`);
    }
    throw refusal(response.status, shown, token !== null);
  }
}

/** The Hub gives no answer. What lies in the cache may still be used. */
export class HubUnreachableError extends StorageNotFoundError {}

/** The Hub answers 401 for what does not exist, too, so that names of private data sets are not told. */
function refusal(status: number, shown: string, hasToken: boolean): Error {
  if (status === 404) {
    return new StorageNotFoundError(`Cannot read "${shown}" as it is not there: check the name`);
  }
  if (status === 401 || status === 403) {
    const cure = hasToken
      ? "check the name, accept the data set's terms on its page, or set HF_TOKEN to a token that may read it"
      : "check the name, or set HF_TOKEN to a token that may read it";
    return new StorageDeniedError(`Cannot read "${shown}" as it is not there, private or gated: ${cure}`);
  }
  return new StorageDeniedError(`Cannot read "${shown}" as the Hub refuses (status ${status})`);
}

/** Whether a path stays inside the folder that it is put into. */
function isSafe(path: string): boolean {
  return path.split("/").every((part) =>
    part !== "" && part !== "." && part !== ".." && !/[\\\0]/.test(part)
  );
}
