/**
 * A multipart upload of S3. The service compares the sum of each part, and at the end that of the whole file.
 *
 * @module
 */
import type { StoredFile } from "../storage_manager.ts";
import { crcBase64, crcHex } from "./checksums.ts";
import type { Attempt } from "./failures.ts";
import type { Part, PutOptions, UnorderedUpload } from "./object_store.ts";
import { conditionHeaders, orConflict, plainTag } from "./entity_tags.ts";
import type { S3Client } from "./s3_client.ts";
import { elements, textOf } from "./s3_xml.ts";

/** S3 takes 10,000 parts at most, of 5 MiB at least. */
const MOST_PARTS = 10_000;
const SMALLEST_PART = 8 << 20;

interface SentPart {
  readonly tag: string;
  /** Null where the service does not tell it. */
  readonly sum: string | null;
}

export class S3Upload implements UnorderedUpload {
  readonly token: string;
  readonly partBytes: number;
  readonly #client: S3Client;
  readonly #attempt: Attempt;
  readonly #name: string;
  readonly #size: number;
  /** By their place; with gaps until all are there. */
  readonly #parts: SentPart[] = [];

  constructor(client: S3Client, attempt: Attempt, name: string, id: string, size: number) {
    this.token = id;
    this.partBytes = Math.max(SMALLEST_PART, Math.ceil(size / MOST_PARTS));
    this.#client = client;
    this.#attempt = attempt;
    this.#name = name;
    this.#size = size;
  }

  /** Looks which parts the service has. @throws {StorageNotFoundError} If it has no such upload. */
  async find(signal?: AbortSignal): Promise<void> {
    let marker: string | null = null;
    this.#parts.length = 0;
    do {
      const query: Record<string, string> = {
        uploadId: this.token,
        ...(marker ? { "part-number-marker": marker } : {}),
      };
      const { xml }: { xml: string } = await this.#client.ask({
        ...this.#request,
        method: "GET",
        query,
        signal,
      });
      for (const part of elements(xml, "Part")) {
        const index = Number(textOf(part, "PartNumber")) - 1;
        const isWhole =
          Number(textOf(part, "Size")) === Math.min(this.partBytes, this.#size - index * this.partBytes);
        if (isWhole) {
          this.#parts[index] = { tag: textOf(part, "ETag") ?? "", sum: textOf(part, "ChecksumCRC32C") };
        }
      }
      marker = textOf(xml, "IsTruncated") === "true" ? textOf(xml, "NextPartNumberMarker") : null;
    } while (marker !== null);
  }

  async send({ offset, bytes, crc32c }: Part, signal?: AbortSignal): Promise<void> {
    const number = offset / this.partBytes;
    const sum = crcBase64(crc32c);
    const query = { partNumber: String(number + 1), uploadId: this.token };
    const headers = { "x-amz-checksum-crc32c": sum };
    const request = { ...this.#request, method: "PUT", query, headers, body: bytes, signal } as const;
    const response = await this.#client.send(request);
    await response.body?.cancel();
    this.#parts[number] = { tag: response.headers.get("etag") ?? "", sum };
  }

  holds({ offset, crc32c }: Part): boolean {
    const there = this.#parts[offset / this.partBytes];
    return there !== undefined && (!there.sum || there.sum === crcBase64(crc32c));
  }

  begins(sent: number): boolean {
    return Array.from({ length: Math.ceil(sent / this.partBytes) }, (_, i) => this.#parts[i]).every(Boolean);
  }

  async finish({ condition, crc32c: whole, signal }: PutOptions): Promise<StoredFile> {
    const parts = this.#parts.map(({ tag, sum }, i) =>
      `<Part><PartNumber>${i + 1}</PartNumber><ETag>${tag.replaceAll('"', "&quot;")}</ETag>` +
      `${sum === null ? "" : `<ChecksumCRC32C>${sum}</ChecksumCRC32C>`}</Part>`
    );
    const body = new TextEncoder().encode(
      `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${
        parts.join("")
      }</CompleteMultipartUpload>`,
    );
    const headers = {
      ...conditionHeaders(condition),
      "x-amz-checksum-crc32c": crcBase64(whole),
      "x-amz-checksum-type": "FULL_OBJECT",
    };
    const request = {
      ...this.#request,
      method: "POST",
      query: { uploadId: this.token },
      headers,
      body,
      signal,
    } as const;
    const { xml } = await orConflict(this.#attempt, condition, () => this.#client.ask(request));
    const checksum = { algorithm: "crc32c", hex: crcHex(whole) } as const;
    return { name: this.#name, size: this.#size, version: plainTag(textOf(xml, "ETag")), checksum };
  }

  async abort(): Promise<void> {
    const request = { ...this.#request, method: "DELETE", query: { uploadId: this.token } } as const;
    const response = await this.#client.send(request);
    await response.body?.cancel();
  }

  get #request(): { readonly attempt: Attempt; readonly name: string } {
    return { attempt: this.#attempt, name: this.#name };
  }
}
