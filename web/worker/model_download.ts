/**
 * Copying a model of a bucket onto the device, in several visits if need be: what is here counts, whatever ended
 * the last one.
 *
 * @module
 */
import { GgufFile } from "../../src/checkpoint/gguf.ts";
import { isGgufName } from "../../src/checkpoint/gguf_model.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import {
  ModelFormatError,
  StorageConflictError,
  StorageDamagedError,
  StorageDeniedError,
} from "../../src/errors.ts";
import type { Folder } from "../../src/storage.ts";
import type { StoredFile } from "../../src/storage_manager.ts";
import { moveAll } from "../../src/storage_manager/move_all.ts";
import { byteSize } from "../figures.ts";
import type { DownloadProgress } from "../protocol/models.ts";
import type { BucketReader } from "../storage/bucket_reader.ts";
import { lastPart, modelBytes, type RemoteModel } from "./bucket_catalog.ts";
import { bytesHere, type DownloadRecord, readDownload, writeDownload } from "./download_record.ts";

/** Files that come at the same time: one that is small does not hold up the large ones. */
const FILES_AT_ONCE = 2;
/** How often a model that is written to meanwhile is begun again. */
const LOOKS = 3;

/** What {@link downloadModel} works with. */
export interface ModelDownloadDeps {
  /** Holds the models that are kept, each in a folder. */
  readonly shelf: Folder;
  readonly storage: BucketReader;
  /** The model as the server has it by now. */
  readonly look: () => Promise<RemoteModel>;
  /** Bytes that the browser will still take; null where it does not tell. */
  readonly room: () => Promise<number | null>;
  /** Told how far it is whenever a file is whole, and at first. */
  readonly onProgress: (progress: Pick<DownloadProgress, "bytes" | "totalBytes">) => void;
  readonly signal: AbortSignal;
}

/**
 * Copies a model, and goes on with a copy that was begun; gives the name of its folder.
 *
 * @throws {StorageDeniedError} If there is no room for it, or another tab copies it.
 * @throws {StorageDamagedError} If a file is not what the server says; that file is not kept.
 * @throws {StorageInterruptedError} If the connection broke; what came is kept.
 */
export async function downloadModel(deps: ModelDownloadDeps): Promise<string> {
  const { shelf, look } = deps;
  let model = await look();
  const name = await placeFor(shelf, model), folder = shelf.folder(name);
  const lock = folder.lock ? await folder.lock() : { release: () => Promise.resolve() };
  if (!lock) {
    throw new StorageDeniedError(
      `Cannot download "${model.name}" as another tab of this page does: wait for it, or close that tab`,
    );
  }
  try {
    for (let looks = 1;; looks++) {
      try {
        await copy(model, folder, deps);
        return name;
      } catch (error) {
        if (!(error instanceof StorageConflictError) || looks === LOOKS) throw error;
        model = await look(); // somebody has written to it
      }
    }
  } finally {
    await lock.release();
  }
}

/** Where the model was put before, or else may be: two models of one name lie side by side. */
async function placeFor(shelf: Folder, { path, name }: RemoteModel): Promise<string> {
  const taken = await shelf.folders();
  for (let number = 1;; number++) {
    const place = number === 1 ? name : `${name}-${number}`;
    if (!taken.includes(place) || (await readDownload(shelf.folder(place)))?.path === path) return place;
  }
}

async function copy(model: RemoteModel, folder: Folder, deps: ModelDownloadDeps): Promise<void> {
  const { storage, room, onProgress, signal } = deps;
  let record = await begun(model, folder);
  const totalBytes = modelBytes(model), here = await bytesHere(folder, record);
  assertRoom(model, totalBytes - here, await room());
  onProgress({ bytes: here, totalBytes });
  const missing = record.files.filter(({ name }) => !record.whole.includes(name));
  let written = Promise.resolve();
  await moveAll(missing, { signal, concurrency: FILES_AT_ONCE }, async (file, _, signal) => {
    const stored = { ...file, name: `${model.folder}/${file.name}` };
    await storage.download(stored, folder, file.name, signal);
    if (file.checksum === null) await assertStructure(folder, file.name);
    record = { ...record, whole: [...record.whole, file.name] };
    await (written = written.then(() => writeDownload(folder, record)));
    return true;
  });
}

/** The record of this copy. Files of an earlier one that are others by now are removed. */
async function begun(
  { path, revision, files: remote }: RemoteModel,
  folder: Folder,
): Promise<DownloadRecord> {
  const former = await readDownload(folder);
  if (former?.revision === revision) return former;
  const files = remote.map((file) => ({ ...file, name: lastPart(file.name) }));
  const isSame = (file: StoredFile) =>
    files.some(({ name, version, size }) =>
      name === file.name && version === file.version && size === file.size
    );
  const same = former?.files.filter(isSame).map(({ name }) => name) ?? [];
  const whole = former?.whole.filter((name) => same.includes(name)) ?? [];
  if (former) {
    // in this order no crash leaves a part of one version under the record of another
    await writeDownload(folder, { ...former, whole });
    for (const { name } of former.files) if (!same.includes(name)) await folder.remove(name);
  }
  const record: DownloadRecord = { version: 1, path, revision, files, whole };
  await writeDownload(folder, record);
  return record;
}

/** @throws {StorageDeniedError} If there is too little. */
function assertRoom({ name }: RemoteModel, needed: number, room: number | null): void {
  if (room === null || needed <= room) return;
  throw new StorageDeniedError(
    `Cannot download "${name}" as it needs ${byteSize(needed)} more and the browser gives this page ${
      byteSize(Math.max(0, room))
    }: remove models or runs, or free disk space`,
  );
}

/** Of a file whose checksum the server does not know: whether it is what its beginning says. */
async function assertStructure(folder: Folder, name: string): Promise<void> {
  try {
    if (name.endsWith(".safetensors")) await (await SafetensorsFile.open(folder, name)).close();
    if (isGgufName(name)) await (await GgufFile.open(folder, name)).close();
  } catch (error) {
    if (!(error instanceof ModelFormatError)) throw error;
    await folder.remove(name);
    throw new StorageDamagedError(`${error.message} (of the file that was downloaded, which is not kept)`, {
      cause: error,
    });
  }
}
