/**
 * The places of buckets that the page's server offers (`/api/storage`), to read. Names are the server's paths, such as
 * `gs/my-bucket/models/ember/config.json`.
 *
 * @module
 */
import { bodyOf } from "../../src/storage/answer_body.ts";
import { type Advice, type Attempt, conflict, fetchFor, statusFailure } from "../../src/storage/failures.ts";
import type { Digest, ReadableStore } from "../../src/storage/object_store.ts";
import type { Checksum, FilePage, PageRequest, StoredFile } from "../../src/storage_manager.ts";
import type { ServerAccess } from "../lowrank_server.ts";
import { storeDigest } from "./store_digest.ts";

/** How to reach the server, and who wants to know how it goes. */
export interface BucketStoreOptions {
  /** Default: the browser's own. */
  readonly fetch?: typeof fetch;
  /** Told of bytes of files as they come. */
  readonly onReceived?: (bytes: number) => void;
  /** Told of a request that failed and may be tried again. */
  readonly onBreak?: (error: unknown) => void;
  /** How long nothing may move, ms. Default: as other stores have it. */
  readonly stallMs?: number;
}

/** A file as the server tells of it. */
interface WireFile {
  readonly path: string;
  readonly bytes: number;
  readonly etag: string;
  readonly checksum: Checksum | null;
}

const ADVICE: Advice = {
  bucket: "place",
  denied: "give the page a token that may read it, in the Server view",
};

export class BucketStore implements ReadableStore {
  readonly uri = "bucket";
  readonly #access: ServerAccess;
  readonly #options: BucketStoreOptions;

  constructor(access: ServerAccess, options: BucketStoreOptions = {}) {
    this.#access = access;
    this.#options = options;
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredFile> {
    const { headers } = await this.#ask(this.#attempt("look at", name), name, {}, signal, "HEAD");
    const [, algorithm, hex] = /^(crc32c|md5|sha256|git-sha1)=([0-9a-f]+)$/.exec(
      headers.get("x-checksum") ?? "",
    ) ?? [];
    return {
      name,
      size: Number(headers.get("content-length")),
      version: headers.get("etag") ?? "",
      checksum: hex === undefined ? null : { algorithm: algorithm as Checksum["algorithm"], hex },
    };
  }

  /** @param request Its prefix is that of a folder: the server lists no other. */
  async page({ prefix = "", pageSize, pageToken, signal }: PageRequest): Promise<FilePage> {
    const attempt = this.#attempt("list", prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const query = new URLSearchParams();
    if (pageSize !== undefined) query.set("limit", String(pageSize));
    if (pageToken) query.set("page_token", pageToken);
    const response = await this.#ask(attempt, folder, {}, signal, "GET", query);
    const { data, next_page_token } = await fetchFor<{ data: WireFile[]; next_page_token: string | null }>(
      attempt,
      () => response.json(),
      signal,
    );
    return {
      files: data.filter(({ path }) => path.startsWith(prefix)).map(storedFile),
      nextPageToken: next_page_token,
    };
  }

  async open(
    file: StoredFile,
    offset: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const attempt = this.#attempt("read", file.name);
    const headers = { range: `bytes=${offset}-${end - 1}`, "if-match": file.version };
    try {
      const response = await this.#ask(attempt, file.name, headers, signal);
      const isWhole = response.status === 200 && offset === 0 && end === file.size;
      if (response.status === 206 || isWhole) return this.#told(bodyOf(attempt, response.body, signal));
      await response.body?.cancel();
      throw conflict(attempt);
    } catch (error) {
      this.#options.onBreak?.(error);
      throw error;
    }
  }

  digest(checksum: Checksum, size: number): Digest {
    return storeDigest(checksum, size);
  }

  async *#told(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { onReceived, onBreak } = this.#options;
    try {
      for await (const piece of pieces) {
        onReceived?.(piece.length);
        yield piece;
      }
    } catch (error) {
      onBreak?.(error);
      throw error;
    }
  }

  /** What the server answers, unless it refuses. */
  async #ask(
    attempt: Attempt,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
    method = "GET",
    query?: URLSearchParams,
  ): Promise<Response> {
    const { api, token } = this.#access, get = this.#options.fetch ?? fetch;
    const url = new URL(`api/storage/${path.split("/").map(encodeURIComponent).join("/")}`, api);
    if (query) url.search = query.toString();
    const authorization = token === "" ? {} : { authorization: `Bearer ${token}` };
    const response = await fetchFor(
      attempt,
      // what is kept lies in the page's own files: the browser's cache would hold it once more
      ({ signal }) =>
        get(url, { method, headers: { ...headers, ...authorization }, cache: "no-store", signal }),
      signal,
    );
    if (response.ok) return response;
    await response.body?.cancel();
    throw statusFailure(attempt, ADVICE, response.status);
  }

  #attempt(verb: Attempt["verb"], name: string): Attempt {
    return { verb, uri: `${this.uri}/${name}`, stallMs: this.#options.stallMs };
  }
}

function storedFile({ path, bytes, etag, checksum }: WireFile): StoredFile {
  return { name: path, size: bytes, version: etag, checksum };
}
