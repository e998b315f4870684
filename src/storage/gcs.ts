/**
 * Google Cloud Storage, through the client library of Google, which is loaded at the first request. Deno only.
 *
 * ```ts ignore
 * import { GcsStorageManager } from "lowrank/storage/gcs";
 * import { LocalFolder } from "lowrank/storage/local";
 *
 * const storage = new GcsStorageManager("my-bucket");
 * await storage.downloadFolder("models/smollm2", new LocalFolder("models/smollm2"));
 * ```
 *
 * @module
 */
import type { Bucket, File, Storage } from "@google-cloud/storage";
import { StorageBucketError } from "../errors.ts";
import type { FilePage, PageRequest, StoredFile, WriteCondition } from "../storage_manager.ts";
import { bodyOf } from "./answer_body.ts";
import { crcBase64 } from "./checksums.ts";
import {
  type Attempt,
  conflict,
  fetchFor,
  logRequest,
  networkFailure,
  notFound,
  statusFailure,
} from "./failures.ts";
import { variable } from "./environment.ts";
import { piecesOf, relatedParts } from "./gcs_bodies.ts";
import { GCS_ADVICE, type GcsMetadata, GcsUpload, storedFile } from "./gcs_upload.ts";
import { ObjectStorageManager } from "./object_storage_manager.ts";
import type { ObjectStore, PartUpload, PutOptions, UploadStart } from "./object_store.ts";
import type { RetryPolicy } from "./retry.ts";
import { STALL_MS, type Watch, watched } from "./stall.ts";

const CONTENT_TYPE = "application/octet-stream";

/** How to get to the service. */
export interface GcsOptions {
  /** Another address than Google's, without credentials. Default: the variable STORAGE_EMULATOR_HOST. */
  readonly endpoint?: string;
  /** File of a service account's key. Default: what Google's libraries find (GOOGLE_APPLICATION_CREDENTIALS, metadata server). */
  readonly keyFile?: string;
  /** Credentials of a service account, in place of a file. */
  readonly credentials?: { readonly client_email: string; readonly private_key: string };
  /** When requests that may pass are given up. */
  readonly retries?: RetryPolicy;
}

/** The files of one bucket of Google Cloud Storage. */
export class GcsStorageManager extends ObjectStorageManager {
  /**
   * Asks the service nothing yet.
   *
   * @param bucket Name of the bucket, without `gs://`.
   */
  constructor(bucket: string, options: GcsOptions = {}) {
    super(new GcsStore(bucket, options), options.retries);
  }
}

/**
 * Requests to one bucket of Google Cloud Storage.
 *
 * @internal
 */
export class GcsStore implements ObjectStore {
  readonly uri: string;
  readonly largestPut = 8 << 20;
  readonly #bucketName: string;
  readonly #options: GcsOptions;
  #storage: Promise<Storage> | null = null;

  constructor(bucket: string, options: GcsOptions = {}) {
    this.uri = `gs://${bucket}`;
    this.#bucketName = bucket;
    this.#options = options;
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredFile> {
    const attempt = this.#attempt("look at", name);
    const file = await this.#file(name);
    const look = async () => storedFile((await file.getMetadata())[0] as GcsMetadata);
    return await this.#asked(attempt, look, signal);
  }

  async page({ prefix = "", pageSize, pageToken, signal }: PageRequest): Promise<FilePage> {
    const bucket = await this.#bucket();
    return await this.#asked(this.#attempt("list", prefix), async () => {
      const [files, next] = await bucket.getFiles({
        autoPaginate: false,
        prefix,
        ...(pageSize === undefined ? {} : { maxResults: pageSize }),
        ...(pageToken ? { pageToken } : {}),
      });
      return {
        files: files.map(({ metadata }) => storedFile(metadata as GcsMetadata)),
        nextPageToken: (next as { pageToken?: string } | null)?.pageToken ?? null,
      };
    }, signal);
  }

  /** Through fetch: after a stream of the library is broken off, the next write of its connection fails. */
  async open(
    file: StoredFile,
    offset: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const attempt = this.#attempt("read", file.name);
    const storage = await this.#client();
    const url = `${storage.baseUrl}/b/${this.#bucketName}/o/${encodeURIComponent(file.name)}?alt=media` +
      `&generation=${encodeURIComponent(file.version)}`;
    const headers = await this.#asked(attempt, () => authorization(storage, url), signal);
    headers.set("range", `bytes=${offset}-${end - 1}`);
    const response = await fetchFor(attempt, ({ signal }) => fetch(url, { headers, signal }), signal);
    if (response.status === 206 || (response.status === 200 && offset === 0 && end === file.size)) {
      return bodyOf(attempt, response.body, signal);
    }
    await response.body?.cancel();
    if (response.status === 404) {
      await this.head(file.name, signal); // gone, or another version
      throw conflict(attempt);
    }
    throw statusFailure(attempt, GCS_ADVICE, response.status);
  }

  /** Through fetch, whose body can be watched: where a connection is cut, a stream of the library may wait for ever. */
  async put(
    name: string,
    bytes: Uint8Array<ArrayBuffer>,
    { condition, crc32c, signal }: PutOptions,
  ): Promise<StoredFile> {
    const attempt = this.#attempt("write", name);
    const storage = await this.#client();
    const query = { uploadType: "multipart", name, ...precondition(condition) };
    const url = `${storage.apiEndpoint}/upload/storage/v1/b/${this.#bucketName}/o?${new URLSearchParams(
      query,
    )}`;
    const headers = await this.#asked(attempt, () => authorization(storage, url), signal);
    // the service compares the sum itself
    const metadata = { contentType: CONTENT_TYPE, crc32c: crcBase64(crc32c) };
    const { type, parts } = relatedParts(metadata, CONTENT_TYPE, bytes);
    headers.set("content-type", type);
    const send = ({ signal, moved }: Watch) =>
      fetch(
        url,
        { method: "POST", headers, body: piecesOf(parts, moved), duplex: "half", signal } as RequestInit,
      );
    const response = await fetchFor(attempt, send, signal);
    if (response.ok) {
      return storedFile(await fetchFor<GcsMetadata>(attempt, () => response.json(), signal));
    }
    await response.body?.cancel();
    throw statusFailure(attempt, GCS_ADVICE, response.status, true);
  }

  async startUpload(name: string, { condition, size, signal }: UploadStart): Promise<PartUpload> {
    const attempt = this.#attempt("write", name);
    const file = await this.#file(name);
    const start = () =>
      file.createResumableUpload({
        metadata: { contentType: CONTENT_TYPE },
        preconditionOpts: precondition(condition),
      });
    const [session] = await this.#asked(attempt, start, signal);
    return new GcsUpload(attempt, session, size);
  }

  resumeUpload(name: string, token: string | null, { size }: UploadStart): Promise<PartUpload | null> {
    return Promise.resolve(GcsUpload.resumed(this.#attempt("write", name), token, size));
  }

  async remove(name: string, condition: WriteCondition | null, signal?: AbortSignal): Promise<void> {
    const file = await this.#file(name);
    await this.#asked(this.#attempt("remove", name), () => file.delete(precondition(condition)), signal);
  }

  /**
   * Asks the service and translates what it refuses. A 404 is the file's unless the bucket cannot be listed either. The
   * library's requests take no signal: they are left.
   */
  async #asked<T>(attempt: Attempt, request: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const start = performance.now();
    try {
      const answer = await watched(request, attempt.stallMs ?? STALL_MS, signal);
      logRequest(attempt, start, "ok");
      return answer;
    } catch (error) {
      const status = statusOf(error);
      logRequest(attempt, start, status ?? "no answer");
      if (signal?.aborted || status === null) throw networkFailure(attempt, error, signal);
      if (status !== 404) throw statusFailure(attempt, GCS_ADVICE, status);
      if (attempt.verb === "list" || attempt.verb === "write") {
        throw statusFailure(attempt, GCS_ADVICE, status, true);
      }
      await this.page({ pageSize: 1, ...(signal ? { signal } : {}) }).catch((failure) => {
        if (failure instanceof StorageBucketError) throw statusFailure(attempt, GCS_ADVICE, status, true);
      });
      throw notFound(attempt);
    }
  }

  async #file(name: string): Promise<File> {
    return (await this.#bucket()).file(name);
  }

  async #bucket(): Promise<Bucket> {
    return (await this.#client()).bucket(this.#bucketName);
  }

  #client(): Promise<Storage> {
    return this.#storage ??= this.#connect();
  }

  async #connect(): Promise<Storage> {
    const { Storage } = await import("@google-cloud/storage");
    const { keyFile, credentials } = this.#options;
    const endpoint = this.#options.endpoint ?? emulatorHost();
    const storage = new Storage({
      ...(endpoint ? { apiEndpoint: endpoint } : {}),
      ...(keyFile ? { keyFilename: keyFile } : {}),
      ...(credentials ? { credentials } : {}),
      retryOptions: { autoRetry: false, maxRetries: 0 },
    });
    // with STORAGE_EMULATOR_HOST set, @google-cloud/storage 8.4 leaves /storage/v1 out of its addresses
    storage.baseUrl = `${storage.apiEndpoint}/storage/v1`;
    return storage;
  }

  #attempt(verb: Attempt["verb"], name: string): Attempt {
    return { verb, uri: `${this.uri}/${name}`, stallMs: this.#options.retries?.stallMs };
  }
}

function emulatorHost(): string | null {
  const host = variable("STORAGE_EMULATOR_HOST")?.replace(/\/+$/, "");
  return host ? (host.includes("://") ? host : `http://${host}`) : null;
}

/** Generation 0 stands for "not there". */
function precondition(condition: WriteCondition | null): { readonly ifGenerationMatch?: string } {
  if (!condition) return {};
  return { ifGenerationMatch: "ifAbsent" in condition ? "0" : condition.ifVersion };
}

/** Headers that prove who asks; none for another endpoint than Google's. */
async function authorization(storage: Storage, url: string): Promise<Headers> {
  if (storage.customEndpoint) return new Headers();
  return new Headers(await storage.authClient.getRequestHeaders(url) as HeadersInit);
}

/** The HTTP status of an error of the library, which has it under three names; null if there was no answer. */
function statusOf(error: unknown): number | null {
  const { code, status, response } = error as {
    code?: unknown;
    status?: unknown;
    response?: { status?: unknown };
  };
  const found = [code, status, response?.status].map(Number).find((value) => value >= 100 && value < 600);
  if (found !== undefined) return found;
  // the message of google-auth-library when there are no credentials at all
  return /default credentials|invalid_grant|unauthorized/i.test(String((error as Error)?.message))
    ? 401
    : null;
}
