/**
 * Reading a bucket store of the page's server, with what may pass tried again.
 *
 * @module
 */
import type { Folder } from "../../src/storage.ts";
import { continueDownload } from "../../src/storage/continued_download.ts";
import { bytesOf } from "../../src/storage/download.ts";
import { DEFAULT_RETRIES, retried, type RetryPolicy } from "../../src/storage/retry.ts";
import type { FilePage, StoredFile } from "../../src/storage_manager.ts";
import type { BucketStore } from "./bucket_store.ts";

/** Of `StorageManager` what the page needs; the whole would bring all that writes. */
export class BucketReader {
  readonly #store: BucketStore;
  readonly #retries: RetryPolicy;

  constructor(store: BucketStore, retries: RetryPolicy = DEFAULT_RETRIES) {
    this.#store = store;
    this.#retries = retries;
  }

  /** Name for messages. */
  uriOf(name: string): string {
    return `${this.#store.uri}/${name}`;
  }

  /** Every file below a folder, page by page. @param folder With a slash at its end. */
  async *list(folder: string, signal: AbortSignal): AsyncGenerator<StoredFile> {
    let pageToken: string | null = null;
    do {
      const request = { prefix: folder, pageToken, signal };
      const page: FilePage = await retried(this.#retries, signal, () => this.#store.page(request));
      yield* page.files;
      pageToken = page.nextPageToken;
    } while (pageToken !== null);
  }

  /** Bytes [offset, offset + length) of the version that was listed. @throws {StorageConflictError} If it is another. */
  async read(
    file: StoredFile,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const whole = new Uint8Array(length), source = { store: this.#store, retries: this.#retries, signal };
    let at = 0;
    for await (const bytes of bytesOf(source, file, offset, offset + length)) {
      whole.set(bytes, at);
      at += bytes.length;
    }
    return whole;
  }

  /** Appends what is missing of a file that was listed, and compares the whole with its checksum. */
  async download(file: StoredFile, folder: Folder, name: string, signal: AbortSignal): Promise<void> {
    const transfer = { store: this.#store, retries: this.#retries, signal, moved: () => {} };
    const checksum = file.checksum ?? await this.#checksumOf(file.name, signal);
    await continueDownload(transfer, { ...file, checksum }, folder, name);
  }

  /** S3 does not tell checksums in listings. */
  async #checksumOf(name: string, signal: AbortSignal): Promise<StoredFile["checksum"]> {
    return (await retried(this.#retries, signal, () => this.#store.head(name, signal))).checksum;
  }
}
