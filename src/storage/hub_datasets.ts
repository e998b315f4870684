/**
 * Data sets of the Hub of Hugging Face as folders. A file is fetched when it is first opened and read from the cache
 * from then on, by the commit that it belongs to.
 *
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";
import type { FileReader, Folder } from "../storage.ts";
import type { StoredFile } from "../storage_manager.ts";
import { type DataPurpose, type DatasetAddress, parseDatasetAddress, splitFiles } from "./hub_address.ts";
import { type HubSnapshot, type HubSnapshots, notCached } from "./hub_snapshots.ts";
import { ReadOnlyFolder } from "./read_only.ts";

export class HubDatasets {
  readonly #hub: HubSnapshots;
  readonly #snapshots = new Map<string, Promise<HubSnapshot>>();

  constructor(hub: HubSnapshots) {
    this.#hub = hub;
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
    const files = await this.files(address);
    return splitFiles(address, files.map(({ name }) => name), purpose).map((file) =>
      `${address.uri}/${file}`
    );
  }

  /** The files of a data set; asked once. */
  async files(address: DatasetAddress): Promise<readonly StoredFile[]> {
    return (await this.#snapshot(address)).snapshot.files;
  }

  /** Opens a file, which is fetched first unless the cache has it. */
  async open(address: DatasetAddress, path: string): Promise<FileReader> {
    const { snapshot, source, isHere } = await this.#snapshot(address), { cache, isOffline } = this.#hub;
    const uri = `${address.uri}/${path}`;
    if ((await cache.missing(snapshot, [path])).length > 0) {
      if (isOffline && !isHere) throw notCached(uri);
      await cache.fetch(snapshot, [path], source);
    }
    const slash = path.lastIndexOf("/"), root = cache.folderOf(snapshot);
    const folder = slash < 0 ? root : root.folder(path.slice(0, slash));
    return renamed(await folder.open(path.slice(slash + 1)), uri);
  }

  #snapshot({ uri, repo, revision }: DatasetAddress): Promise<HubSnapshot> {
    let found = this.#snapshots.get(uri);
    if (!found) {
      found = this.#hub.at(`datasets/${repo}`, revision);
      this.#snapshots.set(uri, found);
    }
    return found;
  }
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
    if (found) return await this.#datasets.open(this.#address, found.path);
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

  /** Files in this folder and below, with their paths from here. */
  async #below(): Promise<{ path: string; rest: string }[]> {
    const files = await this.#datasets.files(this.#address), { path } = this.#address;
    const start = path === "" ? "" : `${path}/`;
    return files.filter(({ name }) => name.startsWith(start))
      .map(({ name }) => ({ path: name, rest: name.slice(start.length) }));
  }
}
