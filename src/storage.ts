/**
 * Folders and files as the rest of the project sees them: ranged reads, atomic writes.
 * Backends live in `storage/`; only composition roots name one.
 *
 * @module
 */

/** An open file that is read in ranges. */
export interface FileReader {
  /** Name for messages, such as `models/tiny/model.safetensors`. */
  readonly uri: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Where it is on this machine's disk; absent where it is elsewhere. */
  readonly path?: string;
  /** Another for another content of the same size, such as the time of the last change; absent where nothing tells. */
  readonly version?: string;
  /**
   * Bytes [offset, offset + length).
   *
   * @param into Where they may be put, at least as long: saves memory where much is read. Not all readers use it.
   * @throws {RangeError} If the range reaches beyond the file.
   */
  read(offset: number, length: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  /** Lets the file go; it cannot be read from then on. */
  close(): Promise<void>;
}

/** How a file of this machine's disk is copied. */
export interface CopyOptions {
  /** Told of bytes as they move. */
  readonly moved?: (bytes: number) => void;
  /** Gives the copy up. */
  readonly signal?: AbortSignal | undefined;
}

/** A file being written under a temporary name. It appears under its own name, whole, at `commit()`. */
export interface FileWriter {
  /** Adds bytes at the end. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Has the system copy a whole file of this machine's disk, in place of writing. Absent where it cannot.
   *
   * @returns Its bytes.
   */
  copy?(path: string, options?: CopyOptions): Promise<number>;
  /** Syncs to the medium and renames over what was there. */
  commit(): Promise<void>;
  /** Removes the temporary file; what was there before stays. Does nothing after `commit()`. */
  abort(): Promise<void>;
}

/** A folder being written under a temporary name. It appears under its own name, whole, at `commit()`. */
export interface FolderWriter {
  /** Where its files are written. */
  readonly folder: Folder;
  /** Renames over what was there. Files committed before it are on the medium by then. */
  commit(): Promise<void>;
  /** Removes the temporary folder; what was there before stays. Does nothing after `commit()`. */
  abort(): Promise<void>;
}

/** Who may hold a folder at the same time: one alone, or any number of those who share it. */
export type LockMode = "exclusive" | "shared";

/** A folder held for one writer, or by several who want it to stay, until it is released or its process ends. */
export interface FolderLock {
  /** Lets others write. A folder that the lock created and that holds nothing is removed, where the backend has such. */
  release(): Promise<void>;
}

/**
 * A file without a name, for what does not fit the memory. It is gone once it is closed, or with the process. Reads and
 * writes wait, so that it can stand in for an array.
 */
export interface Scratch {
  /** Adds bytes at the end. @throws {StorageDeniedError} If there is no room. */
  append(bytes: Uint8Array): void;
  /** Bytes [offset, offset + length) of what was appended. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
  /** Removes it. */
  close(): void;
}

/** The files of a folder, to read only. */
export interface ReadableFolder {
  /** Name for messages, such as `runs/ember/adapter`. */
  readonly uri: string;
  /** Names of the files directly in this folder, sorted; empty when it does not exist. */
  list(): Promise<string[]>;
  /** Whether there is a file of this name. */
  exists(name: string): Promise<boolean>;
  /** Opens a file to read. @throws {StorageNotFoundError} If there is none. @throws {StorageDeniedError} */
  open(name: string): Promise<FileReader>;
}

/** The files of a folder, to write only. */
export interface WritableFolder {
  /** Name for messages, such as `runs/ember/adapter`. */
  readonly uri: string;
  /** Creates the folder if needed. @throws {StorageDeniedError} If it cannot be written to. */
  create(name: string): Promise<FileWriter>;
}

/** A folder of files. */
export interface Folder extends ReadableFolder, WritableFolder {
  /** Appends to a file, creating it (and the folder) if needed. For logs; not atomic. */
  append(name: string, bytes: Uint8Array): Promise<void>;
  /** Waits until what was appended to a file is on the medium. @throws {StorageNotFoundError} */
  sync(name: string): Promise<void>;
  /**
   * Cuts a file to its first `bytes` bytes.
   *
   * @throws {StorageNotFoundError} @throws {RangeError} If the file is shorter.
   */
  truncate(name: string, bytes: number): Promise<void>;
  /** Does nothing when there is no such file. @throws {StorageDeniedError} */
  remove(name: string): Promise<void>;
  /** A folder below this one. It need not exist. */
  folder(name: string): Folder;
  /** Names of the folders directly in this one that hold something, sorted; empty when it does not exist. */
  folders(): Promise<string[]>;
  /** Creates this folder if needed. @throws {StorageDeniedError} If it cannot be written to. */
  createFolder(name: string): Promise<FolderWriter>;
  /** Removes a folder with all that it holds; a crash leaves it whole or gone. Does nothing where there is none. */
  removeFolder(name: string): Promise<void>;
  /**
   * Holds this folder for one writer, or `"shared"` with others; null if another holds it. Absent where the backend has
   * no locks.
   *
   * @param mode Default `"exclusive"`.
   * @throws {StorageDeniedError} If the folder cannot be written to.
   */
  lock?(mode?: LockMode): Promise<FolderLock | null>;
  /** Removes what writers that were never committed left directly in this folder: those of a crashed process. */
  removeLeftovers(): Promise<void>;
}

/** The folder and the name of a file by its path; `files` opens folders. */
export function fileAt<F extends ReadableFolder>(
  files: (uri: string) => F,
  path: string,
): { readonly folder: F; readonly name: string } {
  const slash = path.lastIndexOf("/");
  return { folder: files(slash < 0 ? "." : path.slice(0, slash + 1)), name: path.slice(slash + 1) };
}

/** The whole text of a file, UTF-8. @throws {StorageNotFoundError} @throws {TypeError} If it is not UTF-8. */
export async function readText(folder: ReadableFolder, name: string): Promise<string> {
  const file = await folder.open(name);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.read(0, file.size));
  } finally {
    await file.close();
  }
}

/** Writes a whole file atomically. */
export async function writeFile(
  folder: WritableFolder,
  name: string,
  content: string | Uint8Array,
): Promise<void> {
  const file = await folder.create(name);
  try {
    await file.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
    await file.commit();
  } finally {
    await file.abort();
  }
}

/**
 * Refuses names that would leave a folder, so that a name found inside a model file (a shard index, say)
 * cannot reach anything else. Every backend calls it before it touches the medium.
 *
 * @throws {RangeError} If the name is empty, `.`, `..`, or contains a separator or a NUL.
 */
export function assertFileName(folder: Pick<ReadableFolder, "uri">, name: string): void {
  if (name === "" || name === "." || name === ".." || /[/\\\0]/.test(name)) {
    throw new RangeError(
      `Cannot use ${JSON.stringify(name)} as a file name in "${folder.uri}": ` +
        `name one file of the folder, and reach folders below it through folder()`,
    );
  }
}

/** Every backend calls it before it cuts a file. @throws {RangeError} If the file has fewer bytes. */
export function assertTruncation(uri: string, size: number, bytes: number): void {
  if (bytes >= 0 && bytes <= size) return;
  throw new RangeError(`Cannot cut "${uri}" to ${bytes} bytes as it has ${size}`);
}
