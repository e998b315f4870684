/**
 * Data sets of the Hub of Hugging Face as folders. A file is fetched when it is first opened and read from the cache
 * from then on, by the commit that it belongs to.
 *
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";
import { type FileReader, type Folder, readText, writeFile } from "../storage.ts";
import { type DataPurpose, type DatasetAddress, parseDatasetAddress, splitFiles } from "./hub_address.ts";
import {
  type DatasetRevision,
  type HubAccess,
  HubClient,
  type HubFile,
  HubUnreachableError,
} from "./hub_client.ts";
import { ReadOnlyFolder } from "./read_only.ts";

/** What {@link HubDatasets} needs. */
export interface HubOptions extends HubAccess {
  /** Where files are kept; it grows until somebody empties it. */
  readonly cache: Folder;
  /** Ask nobody: take what the cache holds. Default false. */
  readonly offline?: boolean;
}

export class HubDatasets {
  readonly #cache: Folder;
  readonly #client: HubClient;
  readonly #offline: boolean;
  readonly #revisions = new Map<string, Promise<DatasetRevision>>();

  constructor({ cache, offline = false, ...access }: HubOptions) {
    this.#cache = cache;
    this.#client = new HubClient(access);
    this.#offline = offline;
  }

  /** A folder of a data set by its uri; null if that names none. */
  folder(uri: string): Folder | null {
    const address = parseDatasetAddress(uri);
    return address && new HubFolder(this, address);
  }

  /**
   * Paths of the files that are meant where a data set is named as a whole; other paths stand for themselves.
   *
   * @throws {StorageNotFoundError} If the data set does not tell which files are for this purpose.
   */
  async dataFiles(path: string, purpose: DataPurpose): Promise<string[]> {
    const address = parseDatasetAddress(path);
    if (!address || address.path !== "") return [path];
    const { files } = await this.revision(address);
    return splitFiles(address, files.map((file) => file.path), purpose).map((file) =>
      `${address.uri}/${file}`
    );
  }

  /** The files of a data set; asked once, and remembered in the cache for when the Hub cannot be reached. */
  revision(address: DatasetAddress): Promise<DatasetRevision> {
    let found = this.#revisions.get(address.uri);
    if (!found) {
      found = this.#ask(address);
      this.#revisions.set(address.uri, found);
    }
    return found;
  }

  /** Opens a file, which is fetched first unless the cache has it. */
  async open(address: DatasetAddress, { commit }: DatasetRevision, file: HubFile): Promise<FileReader> {
    const slash = file.path.lastIndexOf("/"), name = file.path.slice(slash + 1);
    const root = this.#folderOf(address).folder(commit);
    const folder = slash < 0 ? root : root.folder(file.path.slice(0, slash));
    if (!await folder.exists(name)) {
      if (this.#offline) throw notCached(`${address.uri}/${file.path}`);
      await this.#client.download(address, commit, file, () => folder.create(name));
    }
    return renamed(await folder.open(name), `${address.uri}/${file.path}`);
  }

  async #ask(address: DatasetAddress): Promise<DatasetRevision> {
    const folder = this.#folderOf(address), name = `${encodeURIComponent(address.revision)}.json`;
    const remembered = async () =>
      await folder.exists(name) ? JSON.parse(await readText(folder, name)) as DatasetRevision : null;
    if (this.#offline) {
      const found = await remembered();
      if (found) return found;
      throw notCached(address.uri);
    }
    try {
      const revision = await this.#client.revision(address);
      await writeFile(folder, name, `${JSON.stringify(revision)}\n`);
      return revision;
    } catch (error) {
      const found = error instanceof HubUnreachableError ? await remembered() : null;
      if (found) return found;
      throw error;
    }
  }

  #folderOf({ repo }: DatasetAddress): Folder {
    return this.#cache.folder("datasets").folder(repo.replace("/", "--"));
  }
}

function notCached(uri: string): StorageNotFoundError {
  return new StorageNotFoundError(
    `Cannot read "${uri}" as HF_HUB_OFFLINE is set and the cache does not hold it: unset it, or fetch it once`,
  );
}

/** A cached file under the name that the user gave. */
function renamed(file: FileReader, uri: string): FileReader {
  return {
    uri,
    size: file.size,
    read: (offset, length) => file.read(offset, length),
    close: () => file.close(),
  };
}

class HubFolder extends ReadOnlyFolder {
  readonly uri: string;
  readonly #datasets: HubDatasets;
  readonly #address: DatasetAddress;

  constructor(datasets: HubDatasets, address: DatasetAddress) {
    super();
    this.#datasets = datasets;
    this.#address = address;
    this.uri = address.path === "" ? address.uri : `${address.uri}/${address.path}`;
  }

  async list(): Promise<string[]> {
    return (await this.#below()).filter(({ rest }) => !rest.includes("/")).map(({ rest }) => rest).sort();
  }

  async exists(name: string): Promise<boolean> {
    return (await this.#below()).some(({ rest }) => rest === name);
  }

  async open(name: string): Promise<FileReader> {
    const found = (await this.#below()).find(({ rest }) => rest === name);
    if (found) return await this.#datasets.open(this.#address, await this.#revision(), found.file);
    const there = (await this.list()).slice(0, 8).join(", ") || "nothing";
    throw new StorageNotFoundError(`Cannot open "${this.uri}/${name}" as it is not there (found: ${there})`);
  }

  folder(name: string): Folder {
    const { path } = this.#address;
    return new HubFolder(this.#datasets, { ...this.#address, path: path === "" ? name : `${path}/${name}` });
  }

  async folders(): Promise<string[]> {
    const names = (await this.#below()).filter(({ rest }) => rest.includes("/")).map(({ rest }) =>
      rest.split("/")[0]!
    );
    return [...new Set(names)].sort();
  }

  #revision(): Promise<DatasetRevision> {
    return this.#datasets.revision(this.#address);
  }

  /** Files in this folder and below, with their paths from here. */
  async #below(): Promise<{ file: HubFile; rest: string }[]> {
    const { files } = await this.#revision(), { path } = this.#address;
    const start = path === "" ? "" : `${path}/`;
    return files.filter((file) => file.path.startsWith(start))
      .map((file) => ({ file, rest: file.path.slice(start.length) }));
  }
}
