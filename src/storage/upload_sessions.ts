/**
 * Notes about unfinished uploads, one small file each, so that a later process goes on where this one broke off.
 *
 * @module
 */
import { crc32c } from "../crc32c.ts";
import { type Folder, readText, writeFile } from "../storage.ts";
import { crcHex } from "./checksums.ts";
import type { ObjectStore, PartUpload, UploadStart } from "./object_store.ts";

interface Note {
  readonly uri: string;
  readonly size: number;
  readonly token: string | null;
}

export class UploadSessions {
  readonly #folder: Folder;
  /** Tokens by file, as they were last written. */
  readonly #kept = new Map<string, string | null>();

  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /** The upload that an earlier process began with a file of this size; null if there is none to go on with. */
  async resumed(store: ObjectStore, name: string, start: UploadStart): Promise<PartUpload | null> {
    const note = await this.#note(store.uri, name, start.size);
    return note && await store.resumeUpload(name, note.token, start);
  }

  /** Writes a note, unless it says so already. */
  async keep(bucket: string, name: string, size: number, token: string | null): Promise<void> {
    const note: Note = { uri: `${bucket}/${name}`, size, token };
    const file = fileOf(bucket, name, size);
    if (this.#kept.get(file) === token) return;
    await writeFile(this.#folder, file, JSON.stringify(note));
    this.#kept.set(file, token);
  }

  async forget(bucket: string, name: string, size: number): Promise<void> {
    const file = fileOf(bucket, name, size);
    this.#kept.delete(file);
    await this.#folder.remove(file);
  }

  async #note(bucket: string, name: string, size: number): Promise<Note | null> {
    const file = fileOf(bucket, name, size);
    if (!await this.#folder.exists(file)) return null;
    try {
      const note = JSON.parse(await readText(this.#folder, file)) as Note;
      return note.uri === `${bucket}/${name}` && note.size === size ? note : null;
    } catch (error) {
      if (error instanceof SyntaxError) return null; // whoever wrote it was killed: begin anew
      throw error;
    }
  }
}

function fileOf(bucket: string, name: string, size: number): string {
  return `upload-${crcHex(crc32c(new TextEncoder().encode(`${bucket}/${name}`)))}-${size}.json`;
}
