/**
 * S3, Amazon's and that of others, by signed requests.
 *
 * ```ts ignore
 * import { S3StorageManager } from "lowrank/storage/s3";
 *
 * const storage = new S3StorageManager("my-bucket"); // credentials from AWS_ACCESS_KEY_ID and its like
 * for await (const { name, size } of storage.list("models/")) console.log(name, size);
 * ```
 *
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";
import type { FilePage, PageRequest, StoredFile, WriteCondition } from "../storage_manager.ts";
import { bodyOf } from "./answer_body.ts";
import { crcBase64, crcFromBase64, crcHex } from "./checksums.ts";
import { type Attempt, conflict, notFound } from "./failures.ts";
import { ObjectStorageManager } from "./object_storage_manager.ts";
import type { ObjectStore, PartUpload, PutOptions, UploadStart } from "./object_store.ts";
import type { RetryPolicy } from "./retry.ts";
import { S3Client, type S3Options } from "./s3_client.ts";
import { conditionHeaders, orConflict, plainTag } from "./entity_tags.ts";
import { S3Upload } from "./s3_upload.ts";
import { elements, textOf } from "./s3_xml.ts";

/** The files of one bucket of S3. */
export class S3StorageManager extends ObjectStorageManager {
  /**
   * Asks the service nothing yet.
   *
   * @param bucket Name of the bucket, without `s3://`.
   */
  constructor(bucket: string, options: S3Options & { readonly retries?: RetryPolicy } = {}) {
    super(new S3Store(bucket, options), options.retries);
  }
}

/**
 * Requests to one bucket of S3.
 *
 * @internal
 */
export class S3Store implements ObjectStore {
  readonly uri: string;
  readonly largestPut = 8 << 20;
  readonly #client: S3Client;
  readonly #stallMs: number | undefined;

  constructor(bucket: string, options: S3Options & { readonly retries?: RetryPolicy } = {}) {
    this.uri = `s3://${bucket}`;
    this.#client = new S3Client(bucket, options);
    this.#stallMs = options.retries?.stallMs;
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredFile> {
    const attempt = this.#attempt("look at", name);
    const headers = { "x-amz-checksum-mode": "ENABLED" };
    const response = await this.#client.send({ attempt, method: "HEAD", name, headers, signal });
    return {
      name,
      size: Number(response.headers.get("content-length")),
      version: plainTag(response.headers.get("etag")),
      checksum: crcFromBase64(response.headers.get("x-amz-checksum-crc32c")),
    };
  }

  async page({ prefix = "", pageSize, pageToken, signal }: PageRequest): Promise<FilePage> {
    const attempt = this.#attempt("list", prefix);
    const query = {
      "list-type": "2",
      ...(prefix ? { prefix } : {}),
      ...(pageSize === undefined ? {} : { "max-keys": String(pageSize) }),
      ...(pageToken ? { "continuation-token": pageToken } : {}),
    };
    const { xml } = await this.#client.ask({ attempt, method: "GET", query, signal });
    return {
      files: elements(xml, "Contents").map((entry) => ({
        name: textOf(entry, "Key") ?? "",
        size: Number(textOf(entry, "Size")),
        version: plainTag(textOf(entry, "ETag")),
        checksum: null,
      })),
      nextPageToken: textOf(xml, "IsTruncated") === "true" ? textOf(xml, "NextContinuationToken") : null,
    };
  }

  async open(
    { name, version }: StoredFile,
    offset: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const attempt = this.#attempt("read", name);
    const headers = { range: `bytes=${offset}-${end - 1}`, "if-match": `"${version}"` };
    const response = await this.#client.send({ attempt, method: "GET", name, headers, signal });
    return bodyOf(attempt, response.body, signal);
  }

  async put(
    name: string,
    bytes: Uint8Array<ArrayBuffer>,
    { condition, crc32c, signal }: PutOptions,
  ): Promise<StoredFile> {
    const attempt = this.#attempt("write", name);
    const headers = { ...conditionHeaders(condition), "x-amz-checksum-crc32c": crcBase64(crc32c) };
    const response = await orConflict(
      attempt,
      condition,
      () => this.#client.send({ attempt, method: "PUT", name, headers, body: bytes, signal }),
    );
    await response.body?.cancel();
    const version = plainTag(response.headers.get("etag"));
    return { name, size: bytes.length, version, checksum: { algorithm: "crc32c", hex: crcHex(crc32c) } };
  }

  async startUpload(name: string, { size, signal }: UploadStart): Promise<PartUpload> {
    const attempt = this.#attempt("write", name);
    const headers = { "x-amz-checksum-algorithm": "CRC32C", "x-amz-checksum-type": "FULL_OBJECT" };
    const request = { attempt, method: "POST", name, query: { uploads: "" }, headers, signal } as const;
    const { xml } = await this.#client.ask(request);
    const id = textOf(xml, "UploadId");
    if (!id) throw notFound(attempt);
    return new S3Upload(this.#client, attempt, name, id, size);
  }

  async resumeUpload(
    name: string,
    token: string | null,
    { size, signal }: UploadStart,
  ): Promise<PartUpload | null> {
    if (token === null) return null;
    const upload = new S3Upload(this.#client, this.#attempt("write", name), name, token, size);
    try {
      await upload.find(signal);
      return upload;
    } catch (error) {
      if (error instanceof StorageNotFoundError) return null;
      throw error;
    }
  }

  async remove(name: string, condition: WriteCondition | null, signal?: AbortSignal): Promise<void> {
    const attempt = this.#attempt("remove", name);
    const headers = conditionHeaders(condition);
    const { version } = condition ? await this.head(name, signal) : { version: null };
    // servers that do not know conditions of removal would remove another version
    if (condition && "ifVersion" in condition && version !== condition.ifVersion) throw conflict(attempt);
    const response = await this.#client.send({ attempt, method: "DELETE", name, headers, signal });
    await response.body?.cancel();
  }

  #attempt(verb: Attempt["verb"], name: string): Attempt {
    return { verb, uri: `${this.uri}/${name}`, stallMs: this.#stallMs };
  }
}
