/**
 * A repository of the Hugging Face Hub, to read. Deno only.
 *
 * ```ts ignore
 * import { HubStorageManager } from "lowrank/storage/hub";
 * import { LocalFolder } from "lowrank/storage/local";
 *
 * const storage = new HubStorageManager("HuggingFaceTB/SmolLM2-135M");
 * await storage.downloadFolder("", new LocalFolder("models/smollm2"));
 * ```
 *
 * @module
 */
import { StorageDeniedError, StorageNotFoundError } from "../errors.ts";
import type { FileReader } from "../storage.ts";
import type { Checksum, FilePage, PageRequest, StoredFile } from "../storage_manager.ts";
import { bodyOf } from "./answer_body.ts";
import { type Attempt, conflict, fetchFor } from "./failures.ts";
import { type HubOptions, HubRequests, type HubState } from "./hub_requests.ts";
import type { HubRepository } from "./hub_snapshots.ts";
import { hubToken } from "./hub_token.ts";
import { HubToolsCache } from "./hub_tools_cache.ts";
import { nodeDigest } from "./node_digests.ts";
import { ObjectStorageManager } from "./object_storage_manager.ts";
import type { Digest, ObjectStore, PartUpload } from "./object_store.ts";
import { DEFAULT_RETRIES, retried, type RetryPolicy } from "./retry.ts";

export type { HubState } from "./hub_requests.ts";

/** The files of one repository, all of one commit. */
export class HubStorageManager extends ObjectStorageManager implements HubRepository {
  readonly #hub: HubStore;
  readonly #policy: RetryPolicy;

  /**
   * Asks the service nothing yet.
   *
   * @param repository Such as `owner/model`, `owner/model@revision`, `datasets/owner/data`.
   */
  constructor(repository: string, options: HubOptions & { readonly retries?: RetryPolicy } = {}) {
    const store = new HubStore(repository, options);
    super(store, options.retries);
    this.#hub = store;
    this.#policy = options.retries ?? DEFAULT_RETRIES;
  }

  /** The commit that all files are of, and the repository's name by now. */
  async state(signal?: AbortSignal): Promise<HubState> {
    return await retried(this.#policy, signal, () => this.#hub.state(signal));
  }

  /** Names of repositories that may be meant where this one is not there. */
  async similar(signal?: AbortSignal): Promise<string[]> {
    return await retried(this.#policy, signal, () => this.#hub.similar(signal));
  }
}

/** A file as the Hub lists it. */
interface TreeEntry {
  readonly type: "file" | "directory";
  readonly path: string;
  readonly size: number;
  /** Git's name of the file or of the pointer that stands for it. */
  readonly oid: string;
  readonly lfs?: { readonly oid: string; readonly size: number };
}

/**
 * Requests to one repository of the Hub.
 *
 * @internal
 */
export class HubStore implements ObjectStore {
  readonly uri: string;
  readonly largestPut = 0;
  readonly #repository: string;
  readonly #client: HubRequests;
  readonly #kept: HubToolsCache;
  readonly #stallMs: number | undefined;

  constructor(
    repository: string,
    options: HubOptions & { readonly retries?: RetryPolicy } = {},
    kept: HubToolsCache = new HubToolsCache(),
  ) {
    this.uri = `hf://${repository}`;
    this.#repository = repository;
    this.#kept = kept;
    this.#stallMs = options.retries?.stallMs;
    this.#client = new HubRequests(repository, { ...options, token: options.token ?? hubToken() });
  }

  state(signal?: AbortSignal): Promise<HubState> {
    return this.#client.state({ verb: "read", uri: this.uri, stallMs: this.#stallMs }, signal);
  }

  similar(signal?: AbortSignal): Promise<string[]> {
    return this.#client.similar({ verb: "list", uri: this.uri, stallMs: this.#stallMs }, signal);
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredFile> {
    const attempt = this.#attempt("look at", name);
    const url = await this.#client.fileUrl(attempt, name, signal);
    // large files are elsewhere; the answer before that says what they are
    const response = await this.#client.send(attempt, url, {
      method: "HEAD",
      redirect: "manual",
      headers: { "accept-encoding": "identity" },
      signal: signal ?? null,
    });
    const { headers } = response;
    const tag = (headers.get("x-linked-etag") ?? headers.get("etag") ?? "").replace(/^W\//, "").replaceAll(
      '"',
      "",
    );
    const size = Number(headers.get("x-linked-size") ?? headers.get("content-length") ?? NaN);
    if (!Number.isInteger(size)) {
      throw new Error(`Cannot look at "${attempt.uri}": the Hub does not tell its size`);
    }
    return { name, size, version: tag, checksum: checksumOf(tag) };
  }

  async page({ prefix = "", pageSize, pageToken, signal }: PageRequest): Promise<FilePage> {
    const attempt = this.#attempt("list", prefix);
    const folder = prefix.slice(0, Math.max(0, prefix.lastIndexOf("/")));
    const url = await this.#client.treeUrl(attempt, folder, signal);
    if (pageSize !== undefined) url.searchParams.set("limit", String(pageSize));
    if (pageToken) url.searchParams.set("cursor", pageToken);
    try {
      const response = await this.#client.send(attempt, url, { signal: signal ?? null });
      const entries: readonly TreeEntry[] = await fetchFor(attempt, () => response.json(), signal);
      const next = /<([^>]+)>\s*;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
      return {
        files: entries.filter(({ type, path }) => type === "file" && path.startsWith(prefix)).map(storedFile),
        nextPageToken: next ? new URL(next, url).searchParams.get("cursor") : null,
      };
    } catch (error) {
      if (error instanceof StorageNotFoundError) return { files: [], nextPageToken: null }; // no such folder
      throw error;
    }
  }

  /** What the tools of the Hub have downloaded already is not asked for. */
  async open(
    file: StoredFile,
    offset: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const kept = await this.#kept.open(this.#repository, file);
    if (kept) return piecesOf(kept, offset, end, signal);
    const attempt = this.#attempt("read", file.name);
    const url = await this.#client.fileUrl(attempt, file.name, signal);
    const headers = { range: `bytes=${offset}-${end - 1}`, "accept-encoding": "identity" };
    const response = await this.#client.send(attempt, url, { headers, signal: signal ?? null });
    if (response.status !== 206 && !(response.status === 200 && offset === 0 && end === file.size)) {
      await response.body?.cancel();
      throw conflict(attempt);
    }
    return bodyOf(attempt, response.body, signal);
  }

  put(name: string): Promise<StoredFile> {
    return Promise.reject(this.#readOnly("write", name));
  }

  startUpload(name: string): Promise<PartUpload> {
    return Promise.reject(this.#readOnly("write", name));
  }

  resumeUpload(): Promise<null> {
    return Promise.resolve(null);
  }

  remove(name: string): Promise<void> {
    return Promise.reject(this.#readOnly("remove", name));
  }

  digest(checksum: Checksum, size: number): Digest {
    return nodeDigest(checksum, size);
  }

  #readOnly(verb: Attempt["verb"], name: string): StorageDeniedError {
    return new StorageDeniedError(
      `Cannot ${verb} "${this.uri}/${name}" as the Hub is only read here: save to a folder or a bucket`,
    );
  }

  #attempt(verb: Attempt["verb"], name: string): Attempt {
    return { verb, uri: `${this.uri}/${name}`, stallMs: this.#stallMs };
  }
}

/** Bytes per read of a file of this machine. */
const PIECE_BYTES = 1 << 20;

async function* piecesOf(
  file: FileReader,
  offset: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    for (let at = offset; at < end; at += PIECE_BYTES) {
      signal?.throwIfAborted();
      yield await file.read(at, Math.min(PIECE_BYTES, end - at));
    }
  } finally {
    await file.close();
  }
}

function storedFile({ path, size, oid, lfs }: TreeEntry): StoredFile {
  const tag = lfs?.oid ?? oid;
  return { name: path, size: lfs?.size ?? size, version: tag, checksum: checksumOf(tag) };
}

/** SHA-256 names large files, git's SHA-1 the others. */
function checksumOf(tag: string): Checksum | null {
  if (!/^[0-9a-f]+$/.test(tag)) return null;
  if (tag.length === 64) return { algorithm: "sha256", hex: tag };
  return tag.length === 40 ? { algorithm: "git-sha1", hex: tag } : null;
}
