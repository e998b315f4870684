/**
 * Uploads through the proxy. Bytes go on to the store part by part; an upload that breaks off is gone on with from what the
 * store has, by the next server too: what that needs is written down after each part.
 *
 * @module
 */
import type { StoredFile, StreamedUpload, UploadNote, WriteCondition } from "../src/storage_manager.ts";
import type { Database } from "./database.ts";
import { ApiError } from "./errors.ts";
import { randomWord } from "./ids.ts";
import { piecesOf } from "./request_body.ts";
import type { StorageAreas, StorageTarget } from "./storage_areas.ts";
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
  /** The body that is being received. */
  receiving: { readonly stop: AbortController; readonly over: Promise<unknown> } | null;
}

/** Bytes of a body, and where they belong; none where both ends are the size of the file: what is missing is asked then. */
export interface UploadedPiece {
  readonly body: ReadableStream<Uint8Array> | null;
  readonly offset: number;
  readonly end: number;
}

/** An upload as it is written down. */
interface Row {
  readonly id: string;
  readonly token_id: string | null;
  readonly path: string;
  readonly size: number;
  readonly condition: string;
  readonly note: string;
}

/** What uploads depend on. */
export interface ProxyUploadOptions {
  readonly database: Database;
  readonly areas: StorageAreas;
  /** Longest pause of a body. Default 60 000. */
  readonly idleMs?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** The uploads of a server. */
export class ProxyUploads {
  readonly #database: Database;
  readonly #areas: StorageAreas;
  /** Those that this server has begun or gone on with. */
  readonly #sessions = new Map<string, Session>();
  /** Those of a server before this one that are being found again. */
  readonly #resuming = new Map<string, Promise<Session | null>>();
  readonly #idleMs: number;
  readonly #now: () => number;
  #bodies = 0;

  constructor({ database, areas, idleMs = 60_000, now = Date.now }: ProxyUploadOptions) {
    this.#database = database;
    this.#areas = areas;
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
    await this.forgetOld();
    const { all, own } = this.#database.get<{ all: number; own: number }>(
      'SELECT count(*) AS "all", count(*) FILTER (WHERE token_id IS ?) AS own FROM proxy_uploads',
      tokenId,
    )!;
    if (own >= MOST_OF_ONE || all >= MOST) {
      const message =
        "Too many uploads are unfinished. Finish or delete some, or wait until they are forgotten.";
      throw new ApiError(429, message, { code: "too_many_uploads", retryAfter: 60 });
    }
    const { area: { storage }, name } = target;
    const upload = await fromStore(() => storage.startUpload(name, size, condition));
    const id = `upload-${randomWord(24)}`;
    const session = { id, tokenId, target, upload, receiving: null };
    this.#sessions.set(id, session);
    this.#database.run(
      "INSERT INTO proxy_uploads (id, token_id, path, size, condition, note, last_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      id,
      tokenId,
      target.path,
      size,
      JSON.stringify(condition),
      JSON.stringify(upload.note),
      this.#now(),
    );
    return session;
  }

  /** An upload of a caller. @throws {ApiError} 404 */
  async get(id: string, tokenId: string | null): Promise<ProxyUpload> {
    return await this.#session(id, tokenId);
  }

  /**
   * Goes on with an upload. A body that is still being received, of a connection that is dead, gives way.
   *
   * @returns The file if it is whole; null while bytes are missing.
   * @throws {ApiError} 416 if the bytes do not follow those that the store has.
   */
  async append(id: string, tokenId: string | null, piece: UploadedPiece): Promise<StoredFile | null> {
    const session = await this.#session(id, tokenId), { upload } = session;
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
        const pieces = this.#pieces(body, end - offset, stop.signal);
        await fromStore(() => upload.send(pieces, stop.signal, (note) => this.#keep(id, note)));
        if (upload.sent < upload.size) return null;
        const file = await fromStore(() => upload.finish());
        this.#drop(id);
        return file;
      } catch (error) {
        const isOver = error instanceof ApiError && [404, 412].includes(error.status);
        if (isOver) await this.#forget(session);
        throw error;
      } finally {
        this.#keep(id, upload.note);
        session.receiving = null;
        over.resolve();
      }
    });
  }

  /** Has the store forget an upload. @throws {ApiError} 404 */
  async remove(id: string, tokenId: string | null): Promise<void> {
    await this.#forget(await this.#session(id, tokenId));
  }

  /** Has the stores forget what nobody goes on with. */
  async forgetOld(): Promise<void> {
    const rows = this.#database.all<Row>(
      "SELECT * FROM proxy_uploads WHERE last_at <= ?",
      this.#now() - FORGOTTEN_MS,
    ).filter(({ id }) => !this.#sessions.get(id)?.receiving);
    await Promise.all(rows.map(async (row) => {
      try {
        const session = this.#sessions.get(row.id) ?? await this.#resumed(row);
        if (session) await this.#forget(session);
      } catch {
        this.#drop(row.id); // stores forget parts by themselves in the end
      }
    }));
  }

  /** Receives no more. The next server goes on with what is unfinished. */
  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map(async ({ receiving }) => {
      receiving?.stop.abort(new ApiError(503, "The server is stopping.", { retryAfter: 5 }));
      await receiving?.over;
    }));
  }

  #pieces(body: ReadableStream<Uint8Array> | null, bytes: number, signal: AbortSignal) {
    return piecesOf(body, { bytes, idleMs: this.#idleMs, signal });
  }

  async #session(id: string, tokenId: string | null): Promise<Session> {
    const row = this.#database.get<Row>(
      "SELECT * FROM proxy_uploads WHERE id = ? AND token_id IS ?",
      id,
      tokenId,
    );
    const session = row && (this.#sessions.get(id) ?? await this.#resumed(row));
    if (session) return session;
    const message = "There is no such upload: it is finished, or was forgotten. Begin it again.";
    throw new ApiError(404, message, { code: "upload_not_found" });
  }

  /** An upload of a server before this one; null if the store or the operator knows it no more. */
  #resumed(row: Row): Promise<Session | null> {
    const { id } = row;
    const resuming = this.#resuming.get(id) ?? this.#resume(row).finally(() => this.#resuming.delete(id));
    this.#resuming.set(id, resuming);
    return resuming;
  }

  async #resume({ id, token_id: tokenId, path, size, condition, note }: Row): Promise<Session | null> {
    const target = this.#areas.writable(path);
    const upload = target &&
      await fromStore(() =>
        target.area.storage.resumeUpload(target.name, size, JSON.parse(note), JSON.parse(condition))
      );
    if (!upload) {
      this.#drop(id);
      return null;
    }
    const session = { id, tokenId, target, upload, receiving: null };
    this.#sessions.set(id, session);
    return session;
  }

  /** Writes down how far an upload is. */
  #keep(id: string, note: UploadNote): void {
    const sql = "UPDATE proxy_uploads SET note = ?, last_at = ? WHERE id = ?";
    this.#database.run(sql, JSON.stringify(note), this.#now(), id);
  }

  #drop(id: string): void {
    this.#sessions.delete(id);
    this.#database.run("DELETE FROM proxy_uploads WHERE id = ?", id);
  }

  async #forget(session: Session): Promise<void> {
    this.#drop(session.id);
    session.receiving?.stop.abort(new ApiError(409, "The upload was deleted."));
    await session.upload.abort().catch(() => {}); // stores forget parts by themselves in the end
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
