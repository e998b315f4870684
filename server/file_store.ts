/**
 * Files that were uploaded or that jobs left: their records in SQLite, their bytes in the data folder.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, pageOf, type PageRequest } from "./pages.ts";

/** Purposes that an upload may have. */
export const UPLOAD_PURPOSES = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"] as const;
/** Purposes of all files: of jobs' results too. */
export const PURPOSES = [...UPLOAD_PURPOSES, "fine-tune-results"] as const;
export type Purpose = (typeof PURPOSES)[number];

/** Where a file's bytes are, relative to the data folder. An archive is made of a folder while it is read. */
export interface FilePlace {
  readonly kind: "file" | "archive";
  readonly path: string;
}

/** A file. Times are milliseconds since 1970. */
export interface StoredFile {
  readonly id: string;
  readonly bytes: number;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly filename: string;
  readonly purpose: Purpose;
  readonly place: FilePlace;
}

/** Which files are listed. */
export interface FileQuery extends PageRequest {
  readonly purpose: string | null;
}

/** A file that is on its way in. */
export interface IncomingFile {
  readonly id: string;
  /** Absolute, for the bytes to be written to. */
  readonly path: string;
}

export class FileStore {
  readonly #database: Database;
  readonly #folder: string;
  readonly #now: () => number;

  /** @param folder The data folder, absolute. */
  constructor(database: Database, folder: string, now: () => number = Date.now) {
    this.#database = database;
    this.#folder = folder;
    this.#now = now;
  }

  /** Makes the folders, and removes what uploads that broke off left. To be called before anything else. */
  async open(): Promise<void> {
    await Deno.remove(`${this.#folder}/incoming`, { recursive: true }).catch(ignoreAbsence);
    for (const name of ["incoming", "files"]) {
      await Deno.mkdir(`${this.#folder}/${name}`, { recursive: true, mode: 0o700 });
    }
  }

  /** Room for a file to be received. */
  incoming(): IncomingFile {
    const id = newId("file-");
    return { id, path: `${this.#folder}/incoming/${id}` };
  }

  /** Removes what was received of a file that is refused. */
  async discard({ path }: IncomingFile): Promise<void> {
    await Deno.remove(path).catch(ignoreAbsence);
  }

  /**
   * Takes a received file in.
   *
   * @param ending Of the name under which it is kept, such as `.jsonl`: readers of data tell kinds of files by it.
   */
  async keep(
    { id, path }: IncomingFile,
    { filename, purpose, ending, expiresInSeconds }: {
      readonly filename: string;
      readonly purpose: Purpose;
      readonly ending: string;
      readonly expiresInSeconds: number | null;
    },
  ): Promise<StoredFile> {
    const { size } = await Deno.stat(path);
    const place = { kind: "file" as const, path: `files/${id}${ending}` };
    await Deno.rename(path, this.pathOf(place));
    const now = this.#now();
    const expiresAt = expiresInSeconds === null ? null : now + expiresInSeconds * 1000;
    return this.#insert({ id, bytes: size, createdAt: now, expiresAt, filename, purpose, place });
  }

  /** Makes what a job left a file that clients can read. Within the caller's transaction. */
  addResult(filename: string, bytes: number, place: FilePlace): StoredFile {
    const purpose = "fine-tune-results", id = newId("file-");
    return this.#insert({ id, bytes, createdAt: this.#now(), expiresAt: null, filename, purpose, place });
  }

  /** Null if there is none, or if it has expired. */
  get(id: string): StoredFile | null {
    const row = this.#database.get<{ record: string }>(
      "SELECT record FROM files WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)",
      id,
      this.#now(),
    );
    return row ? JSON.parse(row.record) : null;
  }

  /** Files of a page; null if it is to begin after one that does not exist. */
  list({ after, limit, order, purpose }: FileQuery): Page<StoredFile> | null {
    const from = after === null ? null : this.#seqOf(after);
    if (from === undefined) return null;
    const [sign, direction] = order === "asc" ? [">", "ASC"] : ["<", "DESC"];
    const rows = this.#database.all<{ record: string }>(
      `SELECT record FROM files WHERE (?1 IS NULL OR seq ${sign} ?1) AND (?2 IS NULL OR purpose = ?2)
        AND (expires_at IS NULL OR expires_at > ?3) ORDER BY seq ${direction} LIMIT ?4`,
      from,
      purpose,
      this.#now(),
      limit + 1,
    );
    return pageOf(rows.map(({ record }): StoredFile => JSON.parse(record)), limit);
  }

  /** Removes a file; bytes that belong to a job's folder stay there. @returns Whether there was one. */
  async remove(id: string): Promise<boolean> {
    const file = this.get(id);
    if (!file) return false;
    this.#database.run("DELETE FROM files WHERE id = ?", id);
    if (file.place.path.startsWith("files/")) await Deno.remove(this.pathOf(file.place)).catch(ignoreAbsence);
    return true;
  }

  /** Removes files whose time is over. */
  async removeExpired(): Promise<void> {
    const rows = this.#database.all<{ record: string }>(
      "DELETE FROM files WHERE expires_at <= ? RETURNING record",
      this.#now(),
    );
    for (const { record } of rows) {
      await Deno.remove(this.pathOf((JSON.parse(record) as StoredFile).place)).catch(ignoreAbsence);
    }
  }

  /** Absolute path of a file's bytes or folder. */
  pathOf({ path }: FilePlace): string {
    return `${this.#folder}/${path}`;
  }

  #seqOf(id: string): number | undefined {
    return this.#database.get<{ seq: number }>("SELECT seq FROM files WHERE id = ?", id)?.seq;
  }

  #insert(file: StoredFile): StoredFile {
    this.#database.run(
      "INSERT INTO files (id, purpose, expires_at, record) VALUES (?, ?, ?, ?)",
      file.id,
      file.purpose,
      file.expiresAt,
      JSON.stringify(file),
    );
    return file;
  }
}

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
