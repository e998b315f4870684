/**
 * Where base models come from: a path of this machine, else a bucket, else the cache, else the Hub of Hugging Face. What
 * is elsewhere is copied into the cache first, the files that a run needs alone.
 *
 * @module
 */
import { ADAPTER_CONFIG_FILE } from "./checkpoint/adapter.ts";
import { isGgufName } from "./checkpoint/gguf_model.ts";
import { didYouMean } from "./config/nearest.ts";
import {
  ConfigError,
  StorageBucketError,
  StorageDeniedError,
  StorageInterruptedError,
  StorageNotFoundError,
} from "./errors.ts";
import type { FindModel, FindModelOptions, FoundModel } from "./model_manager/find_model.ts";
import { CONFIG_FILE } from "./models/config.ts";
import { type HubName, type ModelName, parseModelName } from "./model_source/model_name.ts";
import { type NeededFiles, neededFiles, shardsOf } from "./model_source/needed_files.ts";
import { fileAt, type Folder, type FolderLock, readText } from "./storage.ts";
import type { OpenStorage, StoredFile } from "./storage_manager.ts";
import { type HubSnapshots, notCached } from "./storage/hub_snapshots.ts";
import { NoNetworkError } from "./storage/failures.ts";
import type { Snapshot, SnapshotCache, SnapshotSource } from "./storage/snapshot_cache.ts";

/** What {@link ModelSource} needs. */
export interface ModelSourceOptions {
  /** Opens a folder of this machine. */
  readonly files: (path: string) => Folder;
  /** The Hub and the cache; asked for once they are needed. */
  readonly hub: () => HubSnapshots;
  /** Opens buckets; without it there are none. */
  readonly storage?: OpenStorage;
}

/** A place that was looked at in vain. */
interface Miss {
  readonly where: string;
  readonly error: Error;
}

/** What a bucket's listing is remembered under. */
const BUCKET_REF = "latest";
/** Where a run puts its merged model, below its results. */
const MERGED_FOLDER = "merged";

/** Finds base models by their names, and keeps the copies of those that it found. */
export class ModelSource {
  readonly #outside: ModelSourceOptions;
  readonly #held: FolderLock[] = [];
  /** What was found before, so that a program that opens a model twice looks for it once. */
  readonly #found = new Map<string, Promise<FoundModel>>();

  /** Nothing is opened or asked for before a model is looked for. */
  constructor(outside: ModelSourceOptions) {
    this.#outside = outside;
  }

  /** Finds a model, once. Copies that were found stay in the cache until `close()`, or the end of the process. */
  readonly find: FindModel = async (name, options = {}) => {
    const { bucketUri = null, weights = true } = options;
    const key = JSON.stringify([name, bucketUri, weights]);
    const found = this.#found.get(key) ?? this.#find(name, options);
    this.#found.set(key, found);
    try {
      return await found;
    } catch (error) {
      this.#found.delete(key);
      throw error;
    }
  };

  /** Lets copies be removed again. */
  async close(): Promise<void> {
    this.#found.clear();
    for (const lock of this.#held.splice(0)) await lock.release();
  }

  async #find(name: string, options: FindModelOptions): Promise<FoundModel> {
    const meant = parseModelName(name);
    const misses: Miss[] = [];
    const attempt = async (where: string, look: () => Promise<FoundModel | null>) => {
      try {
        return await look();
      } catch (error) {
        if (!isMiss(error)) throw error;
        misses.push({ where, error });
        return null;
      }
    };
    const { path, file, hub } = meant, bucket = bucketOf(meant, options);
    const found =
      (path === null ? null : await attempt(`path ${path}`, () => this.#atPath(path, meant, bucket))) ??
        (bucket === null ? null : await attempt(bucket, () => this.#inBucket(name, bucket, file, options))) ??
        (hub === null ? null : await attempt("the Hub", () => this.#onHub(hub, file, options)));
    if (!found) throw notFound(name, misses);
    const denied = misses.find(({ error }) => !(error instanceof StorageNotFoundError));
    if (denied) options.onNote?.(`${denied.error.message}; "${name}" was taken from elsewhere`);
    return found;
  }

  /** A path that cannot mean anything else is taken as it is: whoever opens it tells what is wrong with it. */
  async #atPath(path: string, { hub }: ModelName, bucket: string | null): Promise<FoundModel> {
    const { folder, name: file } = isGgufName(path)
      ? fileAt(this.#outside.files, path)
      : { folder: this.#outside.files(path), name: null };
    const isThere = file === null
      ? (await folder.list()).length > 0 || (await folder.folders()).length > 0
      : await folder.exists(file);
    if (isThere || (hub === null && bucket === null)) return { name: path, folder, file };
    throw new StorageNotFoundError(file === null ? "there is no such folder" : "there is no such file");
  }

  async #inBucket(
    name: string,
    uri: string,
    file: string | null,
    options: FindModelOptions,
  ): Promise<FoundModel> {
    const { storage: open } = this.#outside, { cache } = this.#outside.hub();
    if (!open) {
      throw new ConfigError([{ path: `"${uri}"`, message: "is in a bucket, and none can be opened here" }]);
    }
    const { storage, name: below } = await open(uri);
    const prefix = below === "" ? "" : `${below.replace(/\/+$/, "")}/`;
    let snapshot: Snapshot;
    try {
      const { files, folder } = await filesIn({ storage, prefix }, file);
      if (files.length === 0) throw new StorageNotFoundError(`nothing is below ${storage.uriOf(prefix)}`);
      const at = folder === "" ? uri : `${uri}/${folder}`;
      snapshot = { uri: at, revision: await fingerprint(at, files), files };
      await cache.remember(snapshot, BUCKET_REF);
    } catch (error) {
      const isAway = error instanceof StorageInterruptedError || error instanceof NoNetworkError;
      const latest = isAway
        ? await cache.latest(uri, BUCKET_REF) ?? await cache.latest(`${uri}/${MERGED_FOLDER}`, BUCKET_REF)
        : null;
      if (!latest) throw error;
      options.onNote?.(`${(error as Error).message}; what the cache holds is used`);
      snapshot = latest;
    }
    const source = { storage, prefix: snapshot.uri === uri ? prefix : `${prefix}${MERGED_FOLDER}/` };
    return { name, ...await this.#copied(cache, snapshot, source, file, options) };
  }

  async #onHub(
    { repository, revision }: HubName,
    file: string | null,
    options: FindModelOptions,
  ): Promise<FoundModel> {
    const hub = this.#outside.hub(), { cache } = hub;
    const at = await hub.at(repository, revision, options.signal).catch(async (error) => {
      throw error instanceof StorageBucketError
        ? await suggested(hub, repository, error, options.signal)
        : error;
    });
    if (at.note !== null) options.onNote?.(at.note);
    const offline = hub.isOffline && !at.isHere ? notCached(at.snapshot.uri) : null;
    const copy = await this.#copied(cache, at.snapshot, at.source, file, options, offline);
    const short = `${repository}${revision === "main" ? "" : `@${revision}`}`;
    return { name: copy.file === null ? short : `hf://${short}/${copy.file}`, ...copy };
  }

  /** Has what is needed in the cache, and keeps it there. @param refusal Thrown where something would be fetched. */
  async #copied(
    cache: SnapshotCache,
    snapshot: Snapshot,
    source: SnapshotSource,
    file: string | null,
    { weights = true, signal, onProgress }: FindModelOptions,
    refusal: Error | null = null,
  ): Promise<Pick<FoundModel, "folder" | "file">> {
    const needed = neededFiles(snapshot.uri, snapshot.files.map(({ name }) => name), file, weights);
    const held = await cache.hold(snapshot);
    if (held) this.#held.push(held);
    const transfer = signal ? { signal } : {};
    const fetch = async (names: readonly string[], options: FindModelOptions) => {
      const missing = await cache.missing(snapshot, names);
      if (missing.length === 0) return;
      if (refusal) throw refusal;
      await cache.fetch(snapshot, missing, source, options);
    };
    if (needed.index !== null) await fetch([needed.index], transfer);
    const names = await allNames(cache, snapshot, needed);
    await fetch(names, { ...transfer, ...(onProgress ? { onProgress } : {}) });
    return { folder: cache.folderOf(snapshot), file: needed.gguf };
  }
}

function bucketOf(
  { bucketFolder, bucketName, file }: ModelName,
  { bucketUri = null }: FindModelOptions,
): string | null {
  if (bucketFolder !== null) return bucketFolder;
  if (bucketName === null || bucketUri === null) return null;
  const folder = `${bucketUri.replace(/\/+$/, "")}/models`;
  return bucketName === "" && file !== null ? folder : `${folder}/${bucketName}`;
}

/**
 * The files directly in a folder of a bucket, by their own names; of a folder that holds the results of a run, those of
 * the merged model.
 *
 * @throws {StorageNotFoundError} If a run put its adapter alone there.
 */
async function filesIn(
  { storage, prefix }: SnapshotSource,
  file: string | null,
): Promise<{ readonly files: readonly StoredFile[]; readonly folder: "" | typeof MERGED_FOLDER }> {
  const stored = file === null
    ? await Array.fromAsync(storage.list(prefix))
    : [await storage.stat(prefix + file)];
  const below = stored.map((one) => ({ ...one, name: one.name.slice(prefix.length) }));
  const has = (path: string) => below.some(({ name }) => name === path);
  if (
    file !== null || has(CONFIG_FILE) || below.some(({ name }) => isGgufName(name) && !name.includes("/"))
  ) {
    return { files: below.filter(isDirect), folder: "" };
  }
  const merged = `${MERGED_FOLDER}/`;
  if (has(merged + CONFIG_FILE)) {
    const files = below.filter(({ name }) => name.startsWith(merged))
      .map((one) => ({ ...one, name: one.name.slice(merged.length) }));
    return { files: files.filter(isDirect), folder: MERGED_FOLDER };
  }
  if (has(`adapter/${ADAPTER_CONFIG_FILE}`)) {
    const uri = storage.uriOf(prefix).replace(/\/+$/, "");
    throw new StorageNotFoundError(
      `Cannot find a model in "${uri}": a run put its adapter there and no merged model. Name the base model that it ` +
        `was trained on, with adapter_path "${uri}/adapter" to go on from it, or save the merged model too`,
    );
  }
  return { files: below.filter(isDirect), folder: "" };
}

function isDirect({ name }: StoredFile): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name);
}

/** Another text whenever a file is another one. */
async function fingerprint(uri: string, files: readonly StoredFile[]): Promise<string> {
  const facts = files.map(({ name, size, version }) => [name, size, version]);
  const bytes = new TextEncoder().encode(JSON.stringify([uri, facts]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex().slice(0, 40);
}

async function allNames(
  cache: SnapshotCache,
  snapshot: Snapshot,
  { names, index }: NeededFiles,
): Promise<readonly string[]> {
  if (index === null) return names;
  const there = new Set(snapshot.files.map(({ name }) => name));
  const shards = shardsOf(await readText(cache.folderOf(snapshot), index));
  return [...names, ...shards.filter((name) => there.has(name))];
}

/** The same error with the name that may be meant, if the Hub tells one. */
async function suggested(
  hub: HubSnapshots,
  repository: string,
  error: StorageBucketError,
  signal: AbortSignal | undefined,
): Promise<Error> {
  const names = await hub.repository(repository).similar(signal).catch((): string[] => []);
  if (names.includes(repository)) return error;
  return new StorageBucketError(`${error.message}${didYouMean(repository, names)}`, { cause: error });
}

type MissError = StorageNotFoundError | StorageBucketError | StorageDeniedError | StorageInterruptedError;
const MISSES = [StorageNotFoundError, StorageBucketError, StorageDeniedError, StorageInterruptedError];

/** Whether the next place may have what this one has not. */
function isMiss(error: unknown): error is MissError {
  return MISSES.some((kind) => error instanceof kind);
}

/** One error for all places, of the class of the last one's: what stands in the way there is what can be mended. */
function notFound(name: string, misses: readonly Miss[]): Error {
  const { error } = misses.at(-1)!;
  if (misses.length === 1) return error;
  const Kind = MISSES.find((kind) => error instanceof kind)!;
  const lines = misses.map(({ where, error: { message } }) => `  ${where}: ${message}`);
  return new Kind(`Cannot find the model "${name}"; looked at\n${lines.join("\n")}`, { cause: error });
}
