/**
 * Uploads through the proxy. Bytes go on to the store part by part; an upload that breaks off is gone on with from what the
 * store has, as long as this server lives.
 *
 * @module
 */
import type { StoredFile, StreamedUpload, WriteCondition } from "../src/storage_manager.ts";
import { ApiError } from "./errors.ts";
import { randomWord } from "./ids.ts";
import { piecesOf } from "./request_body.ts";
import type { StorageTarget } from "./storage_areas.ts";
import { fromStore } from "./store_failures.ts";

/** Uploads that one caller, and all together, may have begun and not finished. */
const MOST_OF_ONE = 16, MOST = 100;

/** Bodies that are received at a time: each holds a part in memory, 8 or 16 MiB. */
const MOST_BODIES = 6;

/** Uploads that nothing came for are forgotten. */
const FORGOTTEN_MS = 3_600_000;

/** An upload that may be gone on with. */
export interface ProxyUpload {
  readonly id: string;
  readonly tokenId: string | null;
  readonly target: StorageTarget;
  readonly upload: StreamedUpload;
}

interface Session extends ProxyUpload {
  lastAt: number;
  /** The body that is being received. */
  receiving: { readonly stop: AbortController; readonly over: Promise<unknown> } | null;
}

/** Bytes of a body, and where they belong; none where both ends are the size of the file: what is missing is asked then. */
export interface UploadedPiece {
  readonly body: ReadableStream<Uint8Array> | null;
  readonly offset: number;
  readonly end: number;
}

/** What uploads depend on. */
export interface ProxyUploadOptions {
  /** Longest pause of a body. Default 60 000. */
  readonly idleMs?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** The uploads of a server. */
export class ProxyUploads {
  readonly #sessions = new Map<string, Session>();
  readonly #idleMs: number;
  readonly #now: () => number;
  #bodies = 0;

  constructor({ idleMs = 60_000, now = Date.now }: ProxyUploadOptions = {}) {
    this.#idleMs = idleMs;
    this.#now = now;
  }

  /** Writes the body of one request. Nothing is left where it breaks off. @throws {ApiError} */
  async whole(
    { area: { storage }, name }: StorageTarget,
    condition: WriteCondition | null,
    body: ReadableStream<Uint8Array> | null,
    bytes: number,
  ): Promise<StoredFile> {
    return await this.#withBody(async () => {
      const upload = await fromStore(() => storage.startUpload(name, bytes, condition));
      try {
        await fromStore(() => upload.send(this.#pieces(body, bytes, new AbortController().signal)));
        return await fromStore(() => upload.finish());
      } catch (error) {
        await upload.abort().catch(() => {}); // the first failure is the one to tell
        throw error;
      }
    });
  }

  /** Begins an upload. @throws {ApiError} 429 if too many are under way. */
  async begin(
    target: StorageTarget,
    tokenId: string | null,
    size: number,
    condition: WriteCondition | null,
  ): Promise<ProxyUpload> {
    await this.#forgetOld();
    const ofCaller = [...this.#sessions.values()].filter((session) => session.tokenId === tokenId).length;
    if (ofCaller >= MOST_OF_ONE || this.#sessions.size >= MOST) {
      const message =
        "Too many uploads are unfinished. Finish or delete some, or wait until they are forgotten.";
      throw new ApiError(429, message, { code: "too_many_uploads", retryAfter: 60 });
    }
    const { area: { storage }, name } = target;
    const upload = await fromStore(() => storage.startUpload(name, size, condition));
    const id = `upload-${randomWord(24)}`;
    const session = { id, tokenId, target, upload, lastAt: this.#now(), receiving: null };
    this.#sessions.set(id, session);
    return session;
  }

  /** An upload of a caller. @throws {ApiError} 404 */
  get(id: string, tokenId: string | null): ProxyUpload {
    return this.#session(id, tokenId);
  }

  /**
   * Goes on with an upload. A body that is still being received, of a connection that is dead, gives way.
   *
   * @returns The file if it is whole; null while bytes are missing.
   * @throws {ApiError} 416 if the bytes do not follow those that the store has.
   */
  async append(id: string, tokenId: string | null, piece: UploadedPiece): Promise<StoredFile | null> {
    const session = this.#session(id, tokenId), { upload } = session;
    while (session.receiving) {
      session.receiving.stop.abort(new ApiError(409, "Another request goes on with this upload."));
      await session.receiving.over;
    }
    const { body, offset, end } = piece, isQuestion = offset === end;
    if (isQuestion && upload.sent < upload.size) return null;
    const isEnough = end === upload.size || end - offset >= upload.partBytes;
    if (offset !== upload.sent || !isEnough) {
      const message =
        `The store has ${upload.sent} bytes. Send those from there to the end, or ${upload.partBytes} ` +
        "of them or more.";
      const headers = { "upload-offset": String(upload.sent) };
      throw new ApiError(416, message, { code: "wrong_offset", headers });
    }
    return await this.#withBody(async () => {
      const stop = new AbortController(), over = Promise.withResolvers<void>();
      session.receiving = { stop, over: over.promise };
      try {
        await fromStore(() => upload.send(this.#pieces(body, end - offset, stop.signal), stop.signal));
        if (upload.sent < upload.size) return null;
        const file = await fromStore(() => upload.finish());
        this.#sessions.delete(id);
        return file;
      } catch (error) {
        const isOver = error instanceof ApiError && [404, 412].includes(error.status);
        if (isOver) await this.#forget(session);
        throw error;
      } finally {
        session.lastAt = this.#now();
        session.receiving = null;
        over.resolve();
      }
    });
  }

  /** Has the store forget an upload. @throws {ApiError} 404 */
  async remove(id: string, tokenId: string | null): Promise<void> {
    await this.#forget(this.#session(id, tokenId));
  }

  /** Forgets all uploads: their parts would stay in the stores. */
  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => this.#forget(session)));
  }

  #pieces(body: ReadableStream<Uint8Array> | null, bytes: number, signal: AbortSignal) {
    return piecesOf(body, { bytes, idleMs: this.#idleMs, signal });
  }

  #session(id: string, tokenId: string | null): Session {
    const session = this.#sessions.get(id);
    if (session && session.tokenId === tokenId) return session;
    const message = "There is no such upload: it is finished, or was forgotten. Begin it again.";
    throw new ApiError(404, message, { code: "upload_not_found" });
  }

  async #forget(session: Session): Promise<void> {
    this.#sessions.delete(session.id);
    session.receiving?.stop.abort(new ApiError(409, "The upload was deleted."));
    await session.upload.abort().catch(() => {}); // stores forget parts by themselves in the end
  }

  async #forgetOld(): Promise<void> {
    const old = [...this.#sessions.values()].filter(({ lastAt, receiving }) =>
      receiving === null && lastAt + FORGOTTEN_MS <= this.#now()
    );
    await Promise.all(old.map((session) => this.#forget(session)));
  }

  async #withBody<T>(receive: () => Promise<T>): Promise<T> {
    if (this.#bodies >= MOST_BODIES) {
      const message = "Too many uploads are being received. Try again.";
      throw new ApiError(503, message, { code: "busy", retryAfter: 1 });
    }
    this.#bodies++;
    try {
      return await receive();
    } finally {
      this.#bodies--;
    }
  }
}
