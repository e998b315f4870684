/**
 * Uploading bytes that come one after the other, such as the body of a request: gathered to parts, each sent when it is
 * full. What the store has stays there when the stream breaks off.
 *
 * @module
 */
import { crc32c, joinedCrc32c } from "../crc32c.ts";
import { StorageNotFoundError } from "../errors.ts";
import type { StoredFile, StreamedUpload, UploadNote, WriteCondition } from "../storage_manager.ts";
import type { ObjectStore, Part, PartUpload } from "./object_store.ts";
import { retried, Retries, type RetryPolicy } from "./retry.ts";
import { put, refuseDamaged, shown } from "./upload.ts";

/** Where the bytes go. */
export interface StreamTarget {
  readonly store: ObjectStore;
  readonly retries: RetryPolicy;
  readonly name: string;
  readonly condition: WriteCondition | null;
}

/** Begins an upload. A file that is small enough for one request is its own only part. */
export async function startStreamedUpload(target: StreamTarget, size: number): Promise<StreamedUpload> {
  const { store, retries, name, condition } = target;
  if (size <= store.largestPut) return new UploadInOne(target, size);
  const start = { size, condition, signal: undefined };
  const parts = await retried(retries, undefined, () => store.startUpload(name, start));
  return new UploadInParts(target, size, parts);
}

/** Goes on with an upload of an earlier process; null if the store does not have what the note says. */
export async function resumeStreamedUpload(
  target: StreamTarget,
  size: number,
  note: UploadNote,
): Promise<StreamedUpload | null> {
  const { store, retries, name, condition } = target;
  if (size <= store.largestPut) return new UploadInOne(target, size); // nothing of it was sent
  const start = { size, condition, signal: undefined };
  const parts = await retried(retries, undefined, () => store.resumeUpload(name, note.token, start));
  if (!parts) return note.sent === 0 ? await startStreamedUpload(target, size) : null; // stores forget what is empty
  const isThere = "begins" in parts
    ? await parts.begins(note.sent, note.crc32c)
    : await parts.sent() === note.sent;
  return isThere ? new UploadInParts(target, size, parts, note) : null;
}

/** What both kinds do: gathering pieces to parts. */
abstract class GatheredUpload implements StreamedUpload {
  readonly size: number;
  abstract readonly partBytes: number;
  abstract readonly note: UploadNote;
  sent = 0;
  protected readonly target: StreamTarget;

  constructor(target: StreamTarget, size: number) {
    this.target = target;
    this.size = size;
  }

  async send(
    pieces: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
    kept: (note: UploadNote) => void = () => {},
  ): Promise<void> {
    let buffer: Uint8Array<ArrayBuffer> | null = null, filled = 0;
    for await (const piece of pieces) {
      signal?.throwIfAborted();
      if (this.sent + filled + piece.length > this.size) {
        throw new RangeError(`Cannot send more than ${this.size} bytes, which the file is to have`);
      }
      for (let taken = 0; taken < piece.length;) {
        buffer ??= new Uint8Array(Math.min(this.partBytes, this.size));
        const wanted = Math.min(this.partBytes, this.size - this.sent);
        const some = piece.subarray(taken, taken + wanted - filled);
        buffer.set(some, filled);
        filled += some.length;
        taken += some.length;
        if (filled < wanted) continue;
        await this.sendPart(buffer.subarray(0, filled), signal);
        this.sent += filled;
        filled = 0;
        kept(this.note);
      }
    }
  }

  async finish(): Promise<StoredFile> {
    if (this.sent < this.size) {
      throw new RangeError(`Cannot finish "${this.target.name}" with ${this.sent} of ${this.size} bytes`);
    }
    return await this.finishWhole();
  }

  abstract abort(): Promise<void>;
  /** @param bytes The next part, in memory that is written over afterwards. */
  protected abstract sendPart(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal | undefined): Promise<void>;
  protected abstract finishWhole(): Promise<StoredFile>;
}

/** A small file: it is kept until `finish()`, so that nothing appears before. */
class UploadInOne extends GatheredUpload {
  readonly partBytes: number;
  readonly note: UploadNote = { token: null, sent: 0, crc32c: 0 };
  #bytes = new Uint8Array();

  constructor(target: StreamTarget, size: number) {
    super(target, size);
    this.partBytes = size;
  }

  protected override sendPart(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#bytes = bytes;
    return Promise.resolve();
  }

  protected override async finishWhole(): Promise<StoredFile> {
    return await put({ ...this.target, signal: undefined }, this.#bytes);
  }

  override abort(): Promise<void> {
    this.#bytes = new Uint8Array();
    return Promise.resolve();
  }
}

class UploadInParts extends GatheredUpload {
  readonly partBytes: number;
  readonly #parts: PartUpload;
  /** CRC-32C of what was sent. */
  #sum: number;

  constructor(target: StreamTarget, size: number, parts: PartUpload, note?: UploadNote) {
    super(target, size);
    this.#parts = parts;
    this.partBytes = parts.partBytes;
    this.sent = note?.sent ?? 0;
    this.#sum = note?.crc32c ?? 0;
  }

  get note(): UploadNote {
    return { token: this.#parts.token, sent: this.sent, crc32c: this.#sum };
  }

  protected override async sendPart(
    bytes: Uint8Array<ArrayBuffer>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { store, retries } = this.target, parts = this.#parts;
    const sum = store.sums ?? true ? crc32c(bytes) : 0;
    const part = { offset: this.sent, bytes, crc32c: sum };
    if ("holds" in parts) await retried(retries, signal, () => parts.send(part, signal));
    else await this.#sendInOrder(part, signal);
    this.#sum = joinedCrc32c(this.#sum, sum, bytes.length);
  }

  /** After a failure the store says how far it came. */
  async #sendInOrder({ offset, bytes, crc32c: sum }: Part, signal: AbortSignal | undefined): Promise<void> {
    const parts = this.#parts;
    if ("holds" in parts) return;
    const { retries: policy, name, store } = this.target;
    const retries = new Retries(policy, signal), end = offset + bytes.length;
    for (let at = offset; at < end;) {
      const rest = bytes.subarray(at - offset);
      try {
        await parts.send({ offset: at, bytes: rest, crc32c: at === offset ? sum : crc32c(rest) }, signal);
        at = end;
      } catch (error) {
        await retries.after(error);
        at = await retried(policy, signal, () => parts.sent(signal));
        if (at >= offset && at <= end) continue;
        throw new StorageNotFoundError(
          `Cannot go on with the upload of "${store.uri}/${name}" as the service lost what it had: begin it again`,
        );
      }
    }
  }

  protected override async finishWhole(): Promise<StoredFile> {
    const sum = this.target.store.sums ?? true ? this.#sum : 0;
    const stored = await shown({ ...this.target, signal: undefined }, this.#parts, this.size, sum);
    await refuseDamaged(this.target.store, stored, this.size, sum);
    return stored;
  }

  override async abort(): Promise<void> {
    await this.#parts.abort();
  }
}
