/**
 * What a job is given beside its base model, wherever it lies: data, chat template, an adapter to continue from. What lies
 * in a bucket is downloaded into the output folder and removed at the end of the job; a dry run reads it where it is.
 *
 * @module
 */
import { readAdapter } from "../checkpoint/adapter.ts";
import type { Adapter } from "../checkpoint/adapter.ts";
import type { FineTuneJobConfig } from "../config.ts";
import { isPattern, matching } from "../data/path_pattern.ts";
import { StorageNotFoundError } from "../errors.ts";
import type { TrainingEvent } from "../job.ts";
import { fileAt, type FileReader, type Folder, type ReadableFolder } from "../storage.ts";
import type { FolderTransferOptions, StorageManager, StoredFile } from "../storage_manager.ts";
import { counted, moveAll } from "../storage_manager/move_all.ts";
import { isRemote } from "../storage_uri.ts";
import { transferEvents } from "../transfer_events.ts";
import type { Closers, FineTuneJobDeps } from "./deps.ts";

/** Where downloads lie in the output folder while a job runs. */
const DOWNLOADS_FOLDER = "downloads";

/** Where to read what a job is given. */
export interface JobSources {
  /** Opens a folder of the paths below. */
  readonly files: (uri: string) => ReadableFolder;
  readonly trainingDataPath: readonly string[];
  readonly evalDataPath: readonly string[] | null;
  readonly chatTemplatePath: string | null;
  readonly adapterPath: string | null;
}

/** Files of one folder of a bucket. */
interface RemoteFolder {
  /** As paths name it. */
  readonly uri: string;
  readonly storage: StorageManager;
  /** Name of the folder in the bucket, with a slash at the end; empty for the bucket itself. */
  readonly prefix: string;
  readonly files: readonly StoredFile[];
}

/**
 * Finds everything and brings it here. Paths without a scheme that are not on this machine are those of the job's bucket.
 *
 * @throws {StorageNotFoundError} If something is neither here nor there.
 * @throws What the bucket throws; the download of damaged files too.
 */
export async function* fetchSources(
  { job, training }: FineTuneJobConfig,
  deps: FineTuneJobDeps,
  closers: Closers,
): AsyncGenerator<TrainingEvent, JobSources> {
  const place = (path: string) => placeOf(path, job.bucketUri, deps, isFileHere);
  const sources = {
    trainingDataPath: await Promise.all([job.trainingDataPath].flat().map(place)),
    evalDataPath: job.evalDataPath === null ? null : await Promise.all([job.evalDataPath].flat().map(place)),
    chatTemplatePath: training.chatTemplatePath && await place(training.chatTemplatePath),
    adapterPath: job.adapterPath && await placeOf(job.adapterPath, job.bucketUri, deps, isFolderHere),
  };
  const { trainingDataPath, evalDataPath, chatTemplatePath, adapterPath } = sources;
  const isFetched = (path: string | null): path is string =>
    path !== null && !!deps.storage && isRemote(path);
  // data sets of the Hub have a cache of their own
  const data = [...trainingDataPath, ...evalDataPath ?? []].filter((path) => !path.startsWith("hf://"));
  const wanted = [
    ["the data", await foldersOfFiles([...data, chatTemplatePath].filter(isFetched), deps)],
    [
      "the adapter",
      await Promise.all([adapterPath].filter(isFetched).map((path) => wholeFolder(path, deps))),
    ],
  ] as const;
  const fetched = new Map<string, ReadableFolder>();
  const downloads = deps.files(job.outputDir).folder(DOWNLOADS_FOLDER);
  const remove = () => deps.files(job.outputDir).removeFolder(DOWNLOADS_FOLDER);
  if (!deps.dryRun && wanted.some(([, folders]) => folders.length > 0)) {
    await remove(); // what a crash left
    closers.push(remove);
  }
  for (const [what, folders] of wanted) {
    const into = folders.map((folder) => {
      if (deps.dryRun) fetched.set(folder.uri, folder.storage.folder(folder.prefix));
      const own = downloads.folder(`${fetched.size}`);
      if (!deps.dryRun) fetched.set(folder.uri, new FetchedFolder(folder.uri, own));
      return [folder, own] as const;
    });
    if (deps.dryRun || folders.length === 0) continue;
    yield* transferEvents(
      { direction: "download", what, signal: deps.signal },
      (onProgress, signal) => downloadAll(into, onProgress, signal),
    );
  }
  return { ...sources, files: (uri) => fetched.get(uri) ?? deps.files(uri) };
}

/** The adapter that a fresh start continues from; null where there is none. */
export async function startingAdapter({ files, adapterPath }: JobSources): Promise<Adapter | null> {
  return adapterPath === null ? null : await readAdapter(files(adapterPath));
}

/** The path itself, or that in the bucket if it is not on this machine. */
async function placeOf(
  path: string,
  bucketUri: string | null,
  { files, storage }: FineTuneJobDeps,
  isHere: (files: FineTuneJobDeps["files"], path: string) => Promise<boolean>,
): Promise<string> {
  const isNamed = isRemote(path) || path.startsWith("file://") || path.startsWith("/");
  if (bucketUri === null || !storage || isNamed || await isHere(files, path)) return path;
  return `${bucketUri}/${path.replace(/^(\.\/)+/, "")}`;
}

async function isFileHere(files: FineTuneJobDeps["files"], path: string): Promise<boolean> {
  const { folder, name } = fileAt(files, path);
  return await folder.exists(name) || (isPattern(name) && matching(await folder.list(), name).length > 0);
}

async function isFolderHere(files: FineTuneJobDeps["files"], path: string): Promise<boolean> {
  return (await files(path).list()).length > 0;
}

/** The folders of files or patterns, each with the files that are wanted of it. */
async function foldersOfFiles(
  paths: readonly string[],
  { storage: open }: FineTuneJobDeps,
): Promise<RemoteFolder[]> {
  const folders = new Map<
    string,
    { storage: StorageManager; prefix: string; files: Map<string, StoredFile> }
  >();
  for (const path of new Set(paths)) {
    const { storage, name } = await open!(path);
    const slash = name.lastIndexOf("/") + 1, [prefix, last] = [name.slice(0, slash), name.slice(slash)];
    const uri = path.slice(0, path.lastIndexOf("/") + 1);
    const folder = folders.get(uri) ?? { storage, prefix, files: new Map() };
    folders.set(uri, folder);
    const isLiteral = !isPattern(last) || await storage.exists(name);
    const names = isLiteral ? [last] : matching(await storage.folder(prefix).list(), last);
    if (names.length === 0) {
      throw new StorageNotFoundError(`Cannot find a file like "${path}": correct the pattern`);
    }
    for (const own of names) folder.files.set(own, await storage.stat(prefix + own));
  }
  return [...folders].map(([uri, { files, ...folder }]) => ({ uri, ...folder, files: [...files.values()] }));
}

/** A folder of a bucket with all files directly in it. */
async function wholeFolder(uri: string, { storage: open }: FineTuneJobDeps): Promise<RemoteFolder> {
  const { storage, name } = await open!(uri);
  const prefix = name === "" || name.endsWith("/") ? name : `${name}/`;
  const files: StoredFile[] = [];
  for await (const file of storage.list(prefix)) {
    const own = file.name.slice(prefix.length);
    if (own !== "" && !own.includes("/")) files.push(file);
  }
  if (files.length === 0) {
    throw new StorageNotFoundError(`Cannot read "${uri}" as nothing is there: check the name`);
  }
  return { uri, storage, prefix, files };
}

/** Downloads files side by side, each verified before it appears; the first failure stops the others. */
async function downloadAll(
  folders: readonly (readonly [RemoteFolder, Folder])[],
  onProgress: NonNullable<FolderTransferOptions["onProgress"]>,
  signal: AbortSignal,
): Promise<void> {
  const all = folders.flatMap(([{ files, storage, prefix }, into]) =>
    files.map((file) => ({ ...file, storage, as: file.name.slice(prefix.length), into }))
  );
  await moveAll(all, { signal, onProgress }, async ({ name, storage, as, into }, moved, signal) => {
    await storage.downloadFile(name, into, { as, signal, onProgress: counted(moved) });
    return true;
  });
}

/** Files that were downloaded, under the names that they have in their bucket. */
class FetchedFolder implements ReadableFolder {
  readonly uri: string;
  readonly #folder: ReadableFolder;

  constructor(uri: string, folder: ReadableFolder) {
    this.uri = uri.replace(/\/+$/, "");
    this.#folder = folder;
  }

  list(): Promise<string[]> {
    return this.#folder.list();
  }

  exists(name: string): Promise<boolean> {
    return this.#folder.exists(name);
  }

  async open(name: string): Promise<FileReader> {
    const file = await this.#folder.open(name);
    return {
      uri: `${this.uri}/${name}`,
      size: file.size,
      read: (offset, length) => file.read(offset, length),
      close: () => file.close(),
    };
  }
}
