/**
 * Azure Blob Storage, through the client library of Microsoft, which is loaded at the first request. Deno only.
 *
 * ```ts ignore
 * import { AzureStorageManager } from "lowrank/storage/azure";
 *
 * const storage = new AzureStorageManager("my-container"); // AZURE_STORAGE_CONNECTION_STRING says where and who
 * console.log(await storage.exists("data/train.jsonl"));
 * ```
 *
 * @module
 */
import type { BlockBlobClient, ContainerListBlobFlatSegmentResponse } from "@azure/storage-blob";
import type { Checksum, FilePage, PageRequest, StoredFile, WriteCondition } from "../storage_manager.ts";
import { bodyOf } from "./answer_body.ts";
import { AzureClient, type AzureOptions } from "./azure_client.ts";
import { azureConditions, AzureUpload } from "./azure_upload.ts";
import { crcHex } from "./checksums.ts";
import type { Attempt } from "./failures.ts";
import { md5, nodeDigest } from "./node_digests.ts";
import { ObjectStorageManager } from "./object_storage_manager.ts";
import type { Digest, ObjectStore, PartUpload, PutOptions, UploadStart } from "./object_store.ts";
import type { RetryPolicy } from "./retry.ts";
import { orConflict, plainTag } from "./entity_tags.ts";

/** The files of one container of Azure Blob Storage. */
export class AzureStorageManager extends ObjectStorageManager {
  /**
   * Asks the service nothing yet.
   *
   * @param container Name of the container, without `az://`.
   */
  constructor(container: string, options: AzureOptions & { readonly retries?: RetryPolicy } = {}) {
    super(new AzureStore(container, options), options.retries);
  }
}

/** What the service says about a file, as far as it is used. */
interface AzureProperties {
  readonly contentLength?: number | undefined;
  readonly etag?: string | undefined;
  readonly contentMD5?: Uint8Array | undefined;
}

/**
 * Azure knows no CRC-32C: it is kept as the metadatum `crc32c`. Files of other tools may have an MD5.
 *
 * @internal
 */
export class AzureStore implements ObjectStore {
  readonly uri: string;
  readonly largestPut = 8 << 20;
  readonly #client: AzureClient;
  readonly #stallMs: number | undefined;

  constructor(container: string, options: AzureOptions & { readonly retries?: RetryPolicy } = {}) {
    this.uri = `az://${container}`;
    this.#client = new AzureClient(container, options);
    this.#stallMs = options.retries?.stallMs;
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredFile> {
    return await this.#ask("look at", name, async (blob, signal) => {
      const properties = await blob.getProperties({ abortSignal: signal });
      return storedFile(name, properties, properties.metadata);
    }, signal);
  }

  async page({ prefix = "", pageSize, pageToken, signal }: PageRequest): Promise<FilePage> {
    return await this.#client.ask(this.#attempt("list", prefix), async (container, signal) => {
      const pages = container.listBlobsFlat({
        includeMetadata: true,
        abortSignal: signal,
        ...(prefix ? { prefix } : {}),
      }).byPage({
        ...(pageSize === undefined ? {} : { maxPageSize: pageSize }),
        ...(pageToken ? { continuationToken: pageToken } : {}),
      });
      const { value } = await pages.next();
      const page: ContainerListBlobFlatSegmentResponse | undefined = value;
      return {
        files: (page?.segment.blobItems ?? []).map((item) =>
          storedFile(item.name, item.properties, item.metadata)
        ),
        nextPageToken: page?.continuationToken || null,
      };
    }, signal);
  }

  async open(
    { name, version }: StoredFile,
    offset: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const attempt = this.#attempt("read", name);
    const response = await this.#client.read(attempt, {
      name,
      headers: { "x-ms-range": `bytes=${offset}-${end - 1}`, "if-match": `"${version}"` },
      signal,
    });
    return bodyOf(attempt, response.body, signal);
  }

  async put(
    name: string,
    bytes: Uint8Array<ArrayBuffer>,
    { condition, crc32c, signal }: PutOptions,
  ): Promise<StoredFile> {
    const attempt = this.#attempt("write", name);
    const hex = crcHex(crc32c);
    const blobContentMD5 = await md5(bytes);
    const { etag } = await orConflict(
      attempt,
      condition,
      () =>
        this.#ask(
          "write",
          name,
          (blob, signal) =>
            blob.upload(bytes, bytes.length, {
              conditions: azureConditions(condition),
              metadata: { crc32c: hex },
              blobHTTPHeaders: { blobContentMD5 },
              abortSignal: signal,
            }),
          signal,
          bytes.length,
        ),
    );
    return {
      name,
      size: bytes.length,
      version: plainTag(etag ?? null),
      checksum: { algorithm: "crc32c", hex },
    };
  }

  startUpload(name: string, { size }: UploadStart): Promise<PartUpload> {
    return Promise.resolve(this.#upload(name, size));
  }

  async resumeUpload(
    name: string,
    _: string | null,
    { size, signal }: UploadStart,
  ): Promise<PartUpload | null> {
    const upload = this.#upload(name, size);
    return await upload.find(signal) ? upload : null;
  }

  async remove(name: string, condition: WriteCondition | null, signal?: AbortSignal): Promise<void> {
    const conditions = azureConditions(condition);
    const remove = (blob: BlockBlobClient, signal: AbortSignal) =>
      blob.delete({ conditions, abortSignal: signal });
    await this.#ask("remove", name, remove, signal);
  }

  digest(checksum: Checksum, size: number): Digest {
    return nodeDigest(checksum, size);
  }

  #upload(name: string, size: number): AzureUpload {
    return new AzureUpload((request, signal, bytes) => this.#ask("write", name, request, signal, bytes), {
      attempt: this.#attempt("write", name),
      name,
      size,
    });
  }

  #ask<T>(
    verb: Attempt["verb"],
    name: string,
    request: (blob: BlockBlobClient, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
    unseenBytes?: number,
  ): Promise<T> {
    return this.#client.ask(
      this.#attempt(verb, name),
      (container, signal) => request(container.getBlockBlobClient(name), signal),
      signal,
      unseenBytes,
    );
  }

  #attempt(verb: Attempt["verb"], name: string): Attempt {
    return { verb, uri: `${this.uri}/${name}`, stallMs: this.#stallMs };
  }
}

function storedFile(
  name: string,
  { contentLength = 0, etag, contentMD5 }: AzureProperties,
  metadata: Readonly<Record<string, string>> = {},
): StoredFile {
  const { crc32c } = metadata;
  const checksum: Checksum | null = crc32c
    ? { algorithm: "crc32c", hex: crc32c }
    : contentMD5
    ? { algorithm: "md5", hex: new Uint8Array(contentMD5).toHex() }
    : null;
  return { name, size: contentLength, version: plainTag(etag ?? null), checksum };
}
