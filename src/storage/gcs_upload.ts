/**
 * A resumable upload of Google Cloud Storage: parts go to the address of a session, in order, and the service says after
 * each how much it has.
 *
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";
import type { StoredFile } from "../storage_manager.ts";
import { crcFromBase64 } from "./checksums.ts";
import { type Advice, type Attempt, fetchFor, interrupted, statusFailure } from "./failures.ts";
import { PIECE, piecesOf } from "./gcs_bodies.ts";
import type { OrderedUpload, Part } from "./object_store.ts";
import type { Watch } from "./stall.ts";

export const GCS_ADVICE: Advice = {
  bucket: "bucket",
  denied:
    "set GOOGLE_APPLICATION_CREDENTIALS to the key of an account that may use this bucket, or run on a machine " +
    "whose account may",
};

/** What the service says about a file, as far as it is used. */
export interface GcsMetadata {
  readonly name?: string | undefined;
  readonly size?: string | number | undefined;
  readonly generation?: string | number | undefined;
  readonly crc32c?: string | undefined;
}

export function storedFile({ name, size, generation, crc32c }: GcsMetadata): StoredFile {
  return {
    name: name ?? "",
    size: Number(size ?? 0),
    version: String(generation ?? ""),
    checksum: crcFromBase64(crc32c),
  };
}

/** A multiple of {@link PIECE}, as each part but the last. */
const PART = 8 << 20;
/** Of files from 128 MiB on: half as many waits for an answer. */
const LARGE_PART = 16 << 20;

/**
 * An upload goes on from the last byte that the service confirmed. What it kept beyond that comes once more and is ignored,
 * so it need not be asked.
 */
export class GcsUpload implements OrderedUpload {
  readonly partBytes: number;
  readonly #attempt: Attempt;
  /** The session's address, which is its own key. */
  readonly #session: string;
  readonly #size: number;
  #sent: number;
  #stored: StoredFile | null = null;
  /** Whether the service has answered in this session: one that it forgot is refused while the bytes still come. */
  #isKnown: boolean;

  constructor(attempt: Attempt, session: string, size: number, sent = 0, isKnown = true) {
    this.#attempt = attempt;
    this.#session = session;
    this.#size = size;
    this.#sent = sent;
    this.#isKnown = isKnown;
    this.partBytes = size < 8 * LARGE_PART ? PART : LARGE_PART;
  }

  /** Null if the token is none. Whether the service still knows the session shows at the next part. */
  static resumed(attempt: Attempt, token: string | null, size: number): GcsUpload | null {
    const [, sent, session] = /^(\d+) (https?:.+)$/.exec(token ?? "") ?? [];
    return session === undefined ? null : new GcsUpload(attempt, session, size, Number(sent), false);
  }

  get token(): string {
    return `${this.#sent} ${this.#session}`;
  }

  sent(): Promise<number> {
    return Promise.resolve(this.#sent);
  }

  async send({ offset, bytes }: Part, signal?: AbortSignal): Promise<void> {
    // of a session from before a little goes first: a refusal in the middle of much is a broken connection, and asking
    // without bytes ends the upload at fake-gcs-server
    const first = this.#isKnown || bytes.length <= PIECE ? 0 : PIECE;
    if (first > 0) await this.#put(offset, bytes.subarray(0, first), signal);
    await this.#put(offset + first, bytes.subarray(first), signal);
  }

  async #put(offset: number, bytes: Uint8Array<ArrayBuffer>, signal?: AbortSignal): Promise<void> {
    const end = offset + bytes.length;
    const request = ({ signal, moved }: Watch) =>
      fetch(this.#session, {
        method: "PUT",
        headers: { "content-range": `bytes ${offset}-${end - 1}/${this.#size}` },
        body: piecesOf([bytes], moved),
        duplex: "half",
        redirect: "manual", // 308 means go on
        signal,
      } as RequestInit);
    const response = await fetchFor(this.#attempt, request, signal);
    if (response.ok) {
      const metadata: GcsMetadata = await fetchFor(this.#attempt, () => response.json(), signal);
      this.#stored = storedFile(metadata);
      this.#sent = this.#size;
      return;
    }
    await response.body?.cancel();
    if (response.status !== 308) throw this.#failure(response.status);
    this.#isKnown = true;
    const last = /bytes=0-(\d+)/.exec(response.headers.get("range") ?? "")?.[1];
    this.#sent = last === undefined ? 0 : Number(last) + 1;
    if (this.#sent !== end) {
      throw interrupted(this.#attempt, `the service kept ${this.#sent} of ${end} bytes`);
    }
  }

  finish(): Promise<StoredFile> {
    if (this.#stored) return Promise.resolve(this.#stored);
    return Promise.reject(interrupted(this.#attempt, "the service has not all bytes"));
  }

  async abort(): Promise<void> {
    const forget = ({ signal }: Watch) => fetch(this.#session, { method: "DELETE", signal });
    const response = await fetchFor(this.#attempt, forget);
    await response.body?.cancel();
  }

  #failure(status: number): Error {
    if (status !== 404 && status !== 410) return statusFailure(this.#attempt, GCS_ADVICE, status);
    return new StorageNotFoundError(
      `Cannot go on with the upload of "${this.#attempt.uri}" as the service forgot it: begin it again`,
    );
  }
}
