/**
 * Copies of files of remote places on this machine, by the state that a place was in. A file counts once it is whole and
 * has the place's checksum; what a break left is gone on with.
 *
 *     models/OWNER--NAME/refs/main.json   which state a branch was in when it was last looked at
 *     models/OWNER--NAME/STATE.json       the files of a state, and which of them are whole
 *     models/OWNER--NAME/STATE/           the files
 *
 * @module
 */
import { StorageDeniedError } from "../errors.ts";
import { type Folder, type FolderLock, readText, writeFile } from "../storage.ts";
import type { FolderTransferOptions, StorageManager, StoredFile } from "../storage_manager.ts";
import { counted, moveAll } from "../storage_manager/move_all.ts";
import { filesBelow } from "./files_below.ts";
import { pause } from "./retry.ts";

/** What a remote place holds in one state. */
export interface Snapshot {
  /** Such as `hf://owner/name`, `hf://datasets/owner/name` or `gs://bucket/models/name`. */
  readonly uri: string;
  /** Another one whenever a file is another one: a commit, or a digest of the listing. */
  readonly revision: string;
  /** By their names from the place on. */
  readonly files: readonly StoredFile[];
}

/** A state that the cache holds something of. */
export interface CacheEntry {
  /** The place, as {@link Snapshot} has it. */
  readonly uri: string;
  /** Its state, as {@link Snapshot} has it. */
  readonly revision: string;
  /** Where its files are. */
  readonly folder: Folder;
  /** On the medium, unfinished files too. */
  readonly bytes: number;
  /** Number of them. */
  readonly files: number;
  /** When it was used last, ISO 8601. */
  readonly usedAt: string;
}

/** How to keep copies. */
export interface SnapshotCacheOptions {
  /** Bytes of all copies; those used least recently make room for new ones. Default: no limit. */
  readonly limitBytes?: number | null;
  /** The time, milliseconds; for tests. */
  readonly now?: () => number;
}

/** Where files come from. */
export interface SnapshotSource {
  /** The bucket or repository. */
  readonly storage: StorageManager;
  /** What stands before the names of a snapshot in the store: empty, or with a slash at its end. */
  readonly prefix: string;
}

interface SnapshotRecord extends Snapshot {
  readonly version: 1;
  /** Names of the files that are whole. */
  readonly whole: readonly string[];
}

const KINDS = ["models", "datasets", "buckets"] as const;
/** How often a place that another process downloads from is looked at again. */
const POLL_MS = 250;

/** Copies of remote files in one folder, which several processes may share. */
export class SnapshotCache {
  readonly #root: Folder;
  readonly #limitBytes: number | null;
  readonly #now: () => number;
  /** Places that this process downloads into, so that its own downloads take turns where the folder knows no locks. */
  readonly #turns = new Map<string, Promise<unknown>>();

  /**
   * Reads and writes nothing yet.
   *
   * @param root Where the copies are; it may hold other things beside them.
   */
  constructor(root: Folder, { limitBytes = null, now = Date.now }: SnapshotCacheOptions = {}) {
    this.#root = root;
    this.#limitBytes = limitBytes;
    this.#now = now;
  }

  /** The state that a branch or tag was in when it was last looked at; null if it never was. */
  async latest(uri: string, ref: string): Promise<Snapshot | null> {
    const refs = this.#place(uri).folder("refs"), name = `${encodeURIComponent(ref)}.json`;
    const found = await readJson<{ uri: string; revision: string }>(refs, name);
    return found?.uri === uri ? await this.known(uri, found.revision) : null;
  }

  /** The files of a state that was looked at before; null if it never was. */
  async known(uri: string, revision: string): Promise<Snapshot | null> {
    return await this.#record(uri, revision);
  }

  /** Remembers which state a branch or tag is in. */
  async remember(snapshot: Snapshot, ref: string): Promise<void> {
    const { uri, revision } = snapshot, place = this.#place(uri);
    if (!await this.#record(uri, revision)) await this.#write({ ...snapshot, version: 1, whole: [] });
    await writeFile(
      place.folder("refs"),
      `${encodeURIComponent(ref)}.json`,
      `${JSON.stringify({ uri, revision })}\n`,
    );
  }

  /** Where the files of a state are. */
  folderOf({ uri, revision }: Pick<Snapshot, "uri" | "revision">): Folder {
    return this.#place(uri).folder(revision);
  }

  /** Which of these files are not here yet. */
  async missing({ uri, revision }: Snapshot, names: readonly string[]): Promise<string[]> {
    const whole = new Set((await this.#record(uri, revision))?.whole);
    return names.filter((name) => !whole.has(name));
  }

  /**
   * Downloads what is missing of some files, several at the same time. Another process that downloads from the same place
   * is waited for.
   *
   * @throws {StorageDeniedError} If the files do not fit the cache.
   * @throws {StorageInterruptedError} If a download broke off; what came is kept for the next call.
   * @throws {StorageDamagedError} If a file is not what the store says.
   */
  async fetch(
    snapshot: Snapshot,
    names: readonly string[],
    { storage, prefix }: SnapshotSource,
    options: FolderTransferOptions = {},
  ): Promise<void> {
    await this.#alone(snapshot.uri, options.signal, async () => {
      const missing = new Set(await this.missing(snapshot, names));
      if (missing.size === 0) return;
      const files = snapshot.files.filter(({ name }) => missing.has(name));
      const held = await this.hold(snapshot);
      try {
        await this.#makeRoom(snapshot, files);
        const record = await this.#record(snapshot.uri, snapshot.revision);
        const whole = new Set(record?.whole);
        let written = Promise.resolve();
        await moveAll(files, options, async (file, moved, signal) => {
          const { folder, name } = this.#fileOf(snapshot, file.name);
          const onProgress = counted(moved);
          const stored = { ...file, name: prefix + file.name };
          await storage.continueDownload(stored, folder, { as: name, signal, onProgress });
          whole.add(file.name);
          const now = { ...snapshot, version: 1 as const, whole: [...whole].sort() };
          await (written = written.then(() => this.#write(now)));
          return true;
        });
      } finally {
        await held?.release();
      }
    });
  }

  /** Marks a state as used now, and keeps it from being removed until it is released; null where folders have no locks. */
  async hold(snapshot: Pick<Snapshot, "uri" | "revision">): Promise<FolderLock | null> {
    const lock = await this.folderOf(snapshot).lock?.("shared") ?? null;
    const usedAt = new Date(this.#now()).toISOString();
    await writeFile(
      this.#place(snapshot.uri),
      `${snapshot.revision}.used.json`,
      `${JSON.stringify({ usedAt })}\n`,
    );
    return lock;
  }

  /** Everything that is here, the least recently used first. */
  async entries(): Promise<CacheEntry[]> {
    const found: CacheEntry[] = [];
    for (const kind of KINDS) {
      const places = this.#root.folder(kind);
      for (const name of await places.folders()) {
        const place = places.folder(name);
        for (const revision of await place.folders()) {
          if (revision === "refs") continue;
          const record = await readJson<SnapshotRecord>(place, `${revision}.json`);
          if (!record) continue;
          const used = await readJson<{ usedAt: string }>(place, `${revision}.used.json`);
          const folder = place.folder(revision), files = await filesBelow(folder);
          const bytes = files.reduce((sum, { size }) => sum + size, 0);
          const usedAt = used?.usedAt ?? new Date(0).toISOString();
          found.push({ uri: record.uri, revision, folder, bytes, files: files.length, usedAt });
        }
      }
    }
    return found.sort((a, b) => a.usedAt.localeCompare(b.usedAt));
  }

  /** Removes a state with all its files. False, and nothing done, while somebody uses it. */
  async remove({ uri, revision }: Pick<CacheEntry, "uri" | "revision">): Promise<boolean> {
    const place = this.#place(uri), folder = place.folder(revision);
    const lock = await folder.lock?.();
    if (lock === null) return false;
    try {
      // without the record the files no longer count, whatever happens next
      for (const name of [`${revision}.json`, `${revision}.used.json`]) await place.remove(name);
      await place.removeFolder(revision);
    } finally {
      await lock?.release();
    }
    return true;
  }

  async #makeRoom(snapshot: Snapshot, files: readonly StoredFile[]): Promise<void> {
    if (this.#limitBytes === null) return;
    const needed = files.reduce((sum, { size }) => sum + size, 0), limit = this.#limitBytes;
    const isOwn = ({ uri, revision }: CacheEntry) => uri === snapshot.uri && revision === snapshot.revision;
    const entries = await this.entries(), own = entries.find(isOwn);
    const ownBytes = await this.#wholeBytes(snapshot);
    const refusal = (taken: number) => new StorageDeniedError(tooLarge(snapshot.uri, needed, limit, taken));
    if (ownBytes + needed > limit) throw refusal(ownBytes);
    let taken = entries.reduce((sum, entry) => sum + (isOwn(entry) ? ownBytes : entry.bytes), 0);
    for (const entry of entries) {
      if (taken + needed <= limit) return;
      if (entry !== own && await this.remove(entry)) taken -= entry.bytes;
    }
    if (taken + needed > limit) throw refusal(taken);
  }

  async #wholeBytes(snapshot: Snapshot): Promise<number> {
    const whole = new Set((await this.#record(snapshot.uri, snapshot.revision))?.whole);
    return snapshot.files.reduce((sum, { name, size }) => sum + (whole.has(name) ? size : 0), 0);
  }

  /** Does the work while nobody else downloads from the place. */
  async #alone(uri: string, signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(uri) ?? Promise.resolve();
    const own = before.then(async () => {
      const lock = await this.#locked(this.#place(uri), signal);
      try {
        await work();
      } finally {
        await lock?.release();
      }
    });
    this.#turns.set(uri, own.catch(() => {}));
    await own;
  }

  async #locked(place: Folder, signal: AbortSignal | undefined): Promise<FolderLock | null> {
    if (!place.lock) return null;
    while (true) {
      const lock = await place.lock();
      if (lock) return lock;
      await pause(POLL_MS, signal);
    }
  }

  #fileOf(snapshot: Snapshot, path: string): { folder: Folder; name: string } {
    const slash = path.lastIndexOf("/"), root = this.folderOf(snapshot);
    return { folder: slash < 0 ? root : root.folder(path.slice(0, slash)), name: path.slice(slash + 1) };
  }

  #place(uri: string): Folder {
    const [, scheme, rest = ""] = /^([a-z0-9]+):\/\/(.*)$/.exec(uri) ?? [];
    const name = (path: string) => path.split("/").map(encodeURIComponent).join("--");
    if (scheme !== "hf") return this.#root.folder("buckets").folder(name(`${scheme}/${rest}`));
    return rest.startsWith("datasets/")
      ? this.#root.folder("datasets").folder(name(rest.slice("datasets/".length)))
      : this.#root.folder("models").folder(name(rest));
  }

  async #record(uri: string, revision: string): Promise<SnapshotRecord | null> {
    const record = await readJson<SnapshotRecord>(this.#place(uri), `${revision}.json`);
    return record?.version === 1 && record.uri === uri && record.revision === revision ? record : null;
  }

  #write(record: SnapshotRecord): Promise<void> {
    const { uri, revision } = record;
    return writeFile(this.#place(uri), `${revision}.json`, `${JSON.stringify(record)}\n`);
  }
}

function tooLarge(uri: string, needed: number, limit: number, taken: number): string {
  const size = (bytes: number) => `${(bytes / 1e9).toFixed(bytes < 1e8 ? 4 : 1)} GB`;
  return `Cannot keep "${uri}" in the cache as it needs ${size(needed)}, and of the ${size(limit)} that ` +
    `LOWRANK_CACHE_LIMIT_GB allows ${
      size(taken)
    } are in use: raise it, or download the files into a folder and ` +
    "name that";
}

/** Null for a file that is not there, or that an earlier version wrote in another form. */
async function readJson<T>(folder: Folder, name: string): Promise<T | null> {
  if (!await folder.exists(name)) return null;
  try {
    return JSON.parse(await readText(folder, name)) as T;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
