import { StorageNotFoundError } from "../errors.ts";
import {
  assertFileName,
  assertTruncation,
  type FileReader,
  type FileWriter,
  type Folder,
  type FolderLock,
  type FolderWriter,
  type LockMode,
} from "../storage.ts";

/**
 * A folder that lives in memory: for tests, for data handed over as bytes, and where a browser offers no
 * file system. Views made by `folder()` share what they hold, as folders on a disk do.
 */
export class MemoryFolder implements Folder {
  readonly uri: string;
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #folders = new Map<string, MemoryFolder>();
  /** Those who share the folder; infinitely many stand for one alone. */
  #holders = 0;

  /**
   * A folder that lives as long as this object.
   *
   * @param uri Name for messages.
   * @param files What the folder holds at the start, by file name; text is stored as UTF-8.
   */
  constructor(uri = "memory", files: Readonly<Record<string, string | Uint8Array>> = {}) {
    this.uri = uri;
    for (const [name, content] of Object.entries(files)) {
      assertFileName(this, name);
      this.#files.set(
        name,
        typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content),
      );
    }
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#files.keys()].sort());
  }

  /** Whether there is a file of this name. */
  // deno-lint-ignore require-await -- async so that a bad name rejects instead of throwing
  async exists(name: string): Promise<boolean> {
    assertFileName(this, name);
    return this.#files.has(name);
  }

  /** Opens a file to read, as it is at this moment. */
  // deno-lint-ignore require-await -- as above
  async open(name: string): Promise<FileReader> {
    assertFileName(this, name);
    const bytes = this.#files.get(name);
    if (!bytes) {
      const there = [...this.#files.keys()].sort().join(", ") || "nothing";
      throw new StorageNotFoundError(
        `Cannot open "${this.uri}/${name}" as it is not there (found: ${there})`,
      );
    }
    return new MemoryReader(`${this.uri}/${name}`, bytes);
  }

  // deno-lint-ignore require-await -- as above
  async create(name: string): Promise<FileWriter> {
    assertFileName(this, name);
    return new MemoryWriter((bytes) => this.#files.set(name, bytes));
  }

  // deno-lint-ignore require-await -- as above
  async append(name: string, bytes: Uint8Array): Promise<void> {
    assertFileName(this, name);
    this.#files.set(name, concatenated([this.#files.get(name) ?? new Uint8Array(), bytes]));
  }

  async sync(name: string): Promise<void> {
    await this.open(name);
  }

  async truncate(name: string, bytes: number): Promise<void> {
    const { size } = await this.open(name);
    assertTruncation(`${this.uri}/${name}`, size, bytes);
    this.#files.set(name, this.#files.get(name)!.slice(0, bytes));
  }

  // deno-lint-ignore require-await -- as above
  async remove(name: string): Promise<void> {
    assertFileName(this, name);
    this.#files.delete(name);
  }

  folder(name: string): MemoryFolder {
    const [first = "", ...rest] = name.split("/");
    assertFileName(this, first);
    const below = this.#folders.get(first) ?? new MemoryFolder(`${this.uri}/${first}`);
    this.#folders.set(first, below);
    return rest.length === 0 ? below : below.folder(rest.join("/"));
  }

  folders(): Promise<string[]> {
    return Promise.resolve(
      [...this.#folders].filter(([, folder]) => !folder.#isEmpty()).map(([name]) => name).sort(),
    );
  }

  // deno-lint-ignore require-await -- as above
  async createFolder(name: string): Promise<FolderWriter> {
    assertFileName(this, name);
    const staged = new MemoryFolder(`${this.uri}/${name}`);
    return new MemoryFolderWriter(staged, () => this.folder(name).#takeOver(staged));
  }

  // deno-lint-ignore require-await -- as above
  async removeFolder(name: string): Promise<void> {
    assertFileName(this, name);
    this.folder(name).#takeOver(new MemoryFolder());
  }

  lock(mode: LockMode = "exclusive"): Promise<FolderLock | null> {
    const isAlone = mode === "exclusive";
    if (this.#holders > (isAlone ? 0 : Number.MAX_SAFE_INTEGER)) return Promise.resolve(null);
    this.#holders += isAlone ? Infinity : 1;
    const release = () => {
      this.#holders = isAlone ? 0 : this.#holders - 1;
      return Promise.resolve();
    };
    return Promise.resolve({ release });
  }

  /** Nothing outlives a process here. */
  removeLeftovers(): Promise<void> {
    return Promise.resolve();
  }

  #isEmpty(): boolean {
    return this.#files.size === 0 && [...this.#folders.values()].every((folder) => folder.#isEmpty());
  }

  /** Holds what another holds, so that views handed out before show it too. */
  #takeOver(other: MemoryFolder): void {
    this.#files.clear();
    for (const [name, bytes] of other.#files) this.#files.set(name, bytes);
    const below = new Set([...this.#folders.keys(), ...other.#folders.keys()]);
    for (const name of below) this.folder(name).#takeOver(other.folder(name));
  }
}

class MemoryFolderWriter implements FolderWriter {
  readonly #show: () => void;
  #open = true;

  constructor(readonly folder: MemoryFolder, show: () => void) {
    this.#show = show;
  }

  // deno-lint-ignore require-await -- async so that a closed writer rejects
  async commit(): Promise<void> {
    if (!this.#open) throw new TypeError("Cannot commit a folder after commit() or abort()");
    this.#open = false;
    this.#show();
  }

  abort(): Promise<void> {
    this.#open = false;
    return Promise.resolve();
  }
}

/** A number for each content that was read: what changes a file puts other bytes in place of these. */
const VERSIONS = new WeakMap<Uint8Array, string>();
let lastVersion = 0;

function versionOf(bytes: Uint8Array): string {
  const known = VERSIONS.get(bytes) ?? String(++lastVersion);
  VERSIONS.set(bytes, known);
  return known;
}

class MemoryReader implements FileReader {
  readonly size: number;
  readonly version: string;

  constructor(readonly uri: string, readonly bytes: Uint8Array<ArrayBuffer>) {
    this.size = bytes.length;
    this.version = versionOf(bytes);
  }

  // deno-lint-ignore require-await -- async so that a bad range rejects
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new RangeError(
        `Cannot read bytes ${offset}..${offset + length} of "${this.uri}" as it has ${this.size}`,
      );
    }
    return this.bytes.slice(offset, offset + length);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class MemoryWriter implements FileWriter {
  readonly #parts: Uint8Array[] = [];
  readonly #store: (bytes: Uint8Array<ArrayBuffer>) => void;
  #open = true;

  constructor(store: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#store = store;
  }

  // deno-lint-ignore require-await -- async so that a closed writer rejects
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.#open) throw new TypeError("Cannot write to a file after commit() or abort()");
    this.#parts.push(bytes.slice());
  }

  // deno-lint-ignore require-await -- as above
  async commit(): Promise<void> {
    if (!this.#open) throw new TypeError("Cannot commit a file after commit() or abort()");
    this.#open = false;
    this.#store(concatenated(this.#parts));
  }

  abort(): Promise<void> {
    this.#open = false;
    return Promise.resolve();
  }
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
