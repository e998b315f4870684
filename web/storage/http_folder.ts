/**
 * Files of a web server as a folder that is read only. Any static server will do.
 *
 * @module
 */
import { StorageDeniedError, StorageNotFoundError } from "../../src/errors.ts";
import {
  assertFileName,
  type FileReader,
  type FileWriter,
  type Folder,
  type FolderWriter,
} from "../../src/storage.ts";

/** Says what a folder holds, since HTTP does not: a JSON array of names, those of folders with a slash at the end. */
export const LISTING_FILE = "files.json";

/** Asked for on opening, so that most files of a model need one request. */
const FIRST_BYTES = 64 * 1024;

/**
 * A folder at a web address. Files are read in ranges where the server serves them, else fetched whole.
 *
 * What it holds stands in its `files.json`; a file that is not named there cannot be listed, but can be opened.
 */
export class HttpFolder implements Folder {
  readonly uri: string;
  readonly #url: URL;
  readonly #fetch: typeof fetch;
  #listing: Promise<readonly string[]> | null = null;

  /**
   * @param url Address of the folder, with or without a slash at the end.
   * @param uri Name for messages. Default: the address.
   * @param fetcher Default: the browser's own.
   */
  constructor(url: URL | string, uri?: string, fetcher: typeof fetch = (...args) => fetch(...args)) {
    this.#url = new URL(url);
    if (!this.#url.pathname.endsWith("/")) this.#url.pathname += "/";
    this.uri = uri ?? this.#url.href.replace(/\/$/, "");
    this.#fetch = fetcher;
  }

  async list(): Promise<string[]> {
    return (await this.#names()).filter((name) => !name.endsWith("/")).sort();
  }

  async folders(): Promise<string[]> {
    return (await this.#names()).filter((name) => name.endsWith("/")).map((name) => name.slice(0, -1)).sort();
  }

  async exists(name: string): Promise<boolean> {
    assertFileName(this, name);
    return (await this.#names()).includes(name);
  }

  async open(name: string): Promise<FileReader> {
    assertFileName(this, name);
    const file = new RemoteFile(this.#urlOf(name), `${this.uri}/${name}`, this.#fetch);
    const { bytes, size } = await file.fetchFirst(FIRST_BYTES);
    return new HttpReader(file, size, bytes);
  }

  folder(name: string): HttpFolder {
    const parts = name.split("/");
    for (const part of parts) assertFileName(this, part);
    return new HttpFolder(this.#urlOf(...parts), `${this.uri}/${name}`, this.#fetch);
  }

  create(name: string): Promise<FileWriter> {
    return this.#refuse("write", name);
  }

  append(name: string): Promise<void> {
    return this.#refuse("append to", name);
  }

  sync(name: string): Promise<void> {
    return this.#refuse("sync", name);
  }

  truncate(name: string): Promise<void> {
    return this.#refuse("cut", name);
  }

  remove(name: string): Promise<void> {
    return this.#refuse("remove", name);
  }

  createFolder(name: string): Promise<FolderWriter> {
    return this.#refuse("write", name);
  }

  removeFolder(name: string): Promise<void> {
    return this.#refuse("remove", name);
  }

  /** Nothing was ever written here. */
  removeLeftovers(): Promise<void> {
    return Promise.resolve();
  }

  #urlOf(...parts: string[]): URL {
    return new URL(parts.map(encodeURIComponent).join("/"), this.#url);
  }

  #names(): Promise<readonly string[]> {
    return this.#listing ??= this.#readListing();
  }

  async #readListing(): Promise<readonly string[]> {
    const file = await this.open(LISTING_FILE);
    const names: unknown = JSON.parse(new TextDecoder().decode(await file.read(0, file.size)));
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
    throw new TypeError(
      `Cannot list "${this.uri}" as its ${LISTING_FILE} is no array of names: write one such as ["config.json"]`,
    );
  }

  // deno-lint-ignore require-await -- async so that a bad name rejects
  async #refuse(verb: string, name: string): Promise<never> {
    assertFileName(this, name);
    throw new StorageDeniedError(
      `Cannot ${verb} "${this.uri}/${name}" as it lies on a web server, which is only read from: ` +
        "choose an output_dir below runs/",
    );
  }
}

/** One file of a server. */
class RemoteFile {
  #tag: string | null = null;

  constructor(readonly url: URL, readonly uri: string, readonly fetcher: typeof fetch) {}

  /** As the server names it; null where it does not. */
  get tag(): string | null {
    return this.#tag;
  }

  /** The file's size and its first bytes, or all of it from a server without ranges. @throws {StorageNotFoundError} */
  async fetchFirst(length: number): Promise<{ bytes: Uint8Array<ArrayBuffer>; size: number }> {
    const response = await this.#request(0, length);
    if (response.status === 416) { // of an empty file there is no first byte
      await response.body?.cancel();
      return { bytes: new Uint8Array(), size: 0 };
    }
    this.#tag = response.headers.get("etag");
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (response.status === 200) return { bytes, size: bytes.length };
    const size = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
    if (size !== undefined) return { bytes, size: Number(size) };
    throw new Error(`Cannot read "${this.uri}" as the server sent a range without saying of how many bytes`);
  }

  /** @throws {Error} If the file was replaced since it was opened. */
  async fetchRange(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.#request(offset, length);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const same = response.headers.get("etag") === this.#tag;
    if (response.status === 206 && bytes.length === length && same) return bytes;
    throw new Error(
      `Cannot read bytes ${offset}..${
        offset + length
      } of "${this.uri}" as the server sent ${bytes.length} bytes ` +
        `with status ${response.status}${same ? "" : " of another version"}: start again`,
    );
  }

  async #request(offset: number, length: number): Promise<Response> {
    const range = `bytes=${offset}-${offset + length - 1}`;
    const response = await this.fetcher(this.url, { headers: { range } }).catch((cause) => {
      throw new Error(`Cannot read "${this.uri}" as its server does not answer: check the connection`, {
        cause,
      });
    });
    if (response.ok || response.status === 416) return response;
    await response.body?.cancel();
    const found = `as the server answered ${response.status} ${response.statusText}`.trimEnd();
    if (response.status === 404 || response.status === 410) {
      throw new StorageNotFoundError(`Cannot open "${this.uri}" as it is not there: check the address`);
    }
    if (response.status === 401 || response.status === 403) {
      throw new StorageDeniedError(`Cannot open "${this.uri}" ${found}: check who may read it`);
    }
    throw new Error(`Cannot open "${this.uri}" ${found}: try again later`);
  }
}

class HttpReader implements FileReader {
  readonly uri: string;
  readonly version?: string;
  readonly #file: RemoteFile;
  readonly #first: Uint8Array<ArrayBuffer>;

  constructor(file: RemoteFile, readonly size: number, first: Uint8Array<ArrayBuffer>) {
    this.uri = file.uri;
    if (file.tag !== null) this.version = file.tag;
    this.#file = file;
    this.#first = first;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new RangeError(
        `Cannot read bytes ${offset}..${offset + length} of "${this.uri}" as it has ${this.size}`,
      );
    }
    if (offset + length <= this.#first.length) return this.#first.slice(offset, offset + length);
    return await this.#file.fetchRange(offset, length);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
