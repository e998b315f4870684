/**
 * Repositories of the Hub of Hugging Face in the state that a revision is at, through a cache: a state that is known costs
 * one small request, or none where the Hub is not to be asked.
 *
 * @module
 */
import { StorageInterruptedError, StorageNotFoundError } from "../errors.ts";
import type { StorageManager, StoredFile } from "../storage_manager.ts";
import { NoNetworkError } from "./failures.ts";
import type { HubState } from "./hub_requests.ts";
import type { Snapshot, SnapshotCache, SnapshotSource } from "./snapshot_cache.ts";

/** One repository, all files of one commit. */
export interface HubRepository extends StorageManager {
  /** The commit that all files are of, and the repository's name by now. */
  state(signal?: AbortSignal): Promise<HubState>;
  /** Names of repositories that may be meant where this one is not there. */
  similar(signal?: AbortSignal): Promise<string[]>;
}

/** What {@link HubSnapshots} needs. */
export interface HubSnapshotsOptions {
  /** Where states are remembered, and files kept. */
  readonly cache: SnapshotCache;
  /** Opens a repository, such as `owner/model` or `datasets/owner/data@v1`. */
  readonly open: (repository: string) => HubRepository;
  /** Ask nobody: take what the cache holds. Default false. */
  readonly offline?: boolean;
  /** What somebody else has on this machine of a repository at a revision; asked where the Hub cannot be. */
  readonly kept?: (repository: string, revision: string) => Promise<KeptSnapshot | null>;
}

/** Files of one state of a repository that are on this machine, outside of the cache. */
export interface KeptSnapshot {
  /** The state. */
  readonly commit: string;
  /** Those that are there, which need not be all of it. */
  readonly files: readonly StoredFile[];
}

/** A state, and where its files come from. */
export interface HubSnapshot {
  /** The files of the state. */
  readonly snapshot: Snapshot;
  /** Where they are downloaded from. */
  readonly source: SnapshotSource;
  /** What the user should know of it; null for nothing. */
  readonly note: string | null;
  /** Whether the source gives the files without asking the Hub. */
  readonly isHere: boolean;
}

const COMMIT = /^[0-9a-f]{40}$/;

/** Looks at repositories, through a cache. */
export class HubSnapshots {
  /** Where states are remembered, and files kept. */
  readonly cache: SnapshotCache;
  /** Whether nobody is asked. */
  readonly isOffline: boolean;
  readonly #open: HubSnapshotsOptions["open"];
  readonly #kept: NonNullable<HubSnapshotsOptions["kept"]>;

  /** Asks nobody before a state is asked for. */
  constructor(
    { cache, open, offline = false, kept = () => Promise.resolve(null) }: HubSnapshotsOptions,
  ) {
    this.cache = cache;
    this.isOffline = offline;
    this.#open = open;
    this.#kept = kept;
  }

  /** Opens a repository; its files are those of the state that it is in when it is first asked. */
  repository(repository: string): HubRepository {
    return this.#open(repository);
  }

  /**
   * The state of a repository.
   *
   * @param repository Such as `owner/model` or `datasets/owner/data`.
   * @param revision Branch, tag or commit.
   * @throws {StorageNotFoundError} If the Hub is not to be asked and the cache does not know it.
   * @throws {StorageBucketError} @throws {StorageDeniedError} @throws {StorageInterruptedError} As the Hub answers.
   */
  async at(repository: string, revision: string, signal?: AbortSignal): Promise<HubSnapshot> {
    const uri = `hf://${repository}`;
    const storage = this.#open(revision === "main" ? repository : `${repository}@${revision}`);
    const found = (snapshot: Snapshot, note: string | null = null): HubSnapshot => {
      return { snapshot, source: { storage, prefix: "" }, note, isHere: false };
    };
    const keptHere = async (note: string | null = null): Promise<HubSnapshot | null> => {
      const kept = await this.#kept(repository, revision);
      // not the whole state: under its own name the cache would take it for that
      const snapshot = kept && { uri, revision: `${kept.commit}-kept`, files: kept.files };
      return snapshot && { ...found(snapshot, note), isHere: true };
    };
    const known = COMMIT.test(revision) ? await this.cache.known(uri, revision) : null;
    if (known) return found(known);
    if (this.isOffline) {
      const latest = await this.cache.latest(uri, revision);
      if (latest) return found(latest);
      const kept = await keptHere();
      if (kept) return kept;
      throw notCached(revision === "main" ? uri : `${uri}@${revision}`);
    }
    let state: HubState;
    try {
      state = await storage.state(signal);
    } catch (error) {
      const isAway = error instanceof StorageInterruptedError || error instanceof NoNetworkError;
      const latest = isAway ? await this.cache.latest(uri, revision) : null;
      const instead = `${(error as Error).message}; what the cache holds is used`;
      if (latest) return found(latest, instead);
      const kept = isAway ? await keptHere(instead) : null;
      if (kept) return kept;
      throw error;
    }
    const snapshot = await this.cache.known(uri, state.commit) ?? await listed(uri, state.commit, storage);
    await this.cache.remember(snapshot, revision);
    const isRenamed = state.id !== repository.replace(/^(datasets|models|spaces)\//, "");
    return found(snapshot, isRenamed ? `"${repository}" is called "${state.id}" now` : null);
  }
}

async function listed(uri: string, revision: string, storage: StorageManager): Promise<Snapshot> {
  const files = await Array.fromAsync(storage.list());
  return { uri, revision, files: files.filter(({ name }) => isSafe(name)) };
}

/** Whether a path stays inside the folder that it is put into. */
function isSafe(path: string): boolean {
  return path.split("/").every((part) =>
    part !== "" && part !== "." && part !== ".." && !/[\\\0]/.test(part)
  );
}

/** What the Hub is not asked for. */
export function notCached(uri: string): StorageNotFoundError {
  return new StorageNotFoundError(
    `Cannot read "${uri}" as HF_HUB_OFFLINE is set and the cache does not hold it: unset it, or fetch it once`,
  );
}
