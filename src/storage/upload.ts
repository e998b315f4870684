/**
 * Uploading a file: small ones in one request, large ones in parts that are tried again on their own and that a later
 * process can go on with.
 *
 * @module
 */
import { crc32c } from "../crc32c.ts";
import { StorageConflictError, StorageInterruptedError, StorageNotFoundError } from "../errors.ts";
import type { FileReader } from "../storage.ts";
import type { StoredFile, WriteCondition } from "../storage_manager.ts";
import { checkStored, crcHex } from "./checksums.ts";
import type { Transfer } from "./download.ts";
import type { ObjectStore, PartUpload, PutOptions } from "./object_store.ts";
import type { PartBuffers } from "./part_buffers.ts";
import { sendParts } from "./part_sending.ts";
import { retried } from "./retry.ts";
import type { UploadSessions } from "./upload_sessions.ts";

/** A file on its way to a store. */
export interface Upload extends Transfer<ObjectStore> {
  readonly name: string;
  readonly condition: WriteCondition | null;
  readonly sessions: UploadSessions | null;
  readonly buffers: PartBuffers;
}

/** Sends all of a file. @throws {StorageDamagedError} If something else arrived. */
export async function upload(job: Upload, reader: FileReader): Promise<StoredFile> {
  const { store, name } = job;
  if (reader.size <= store.largestPut) return await putFile(job, reader);
  const start = { size: reader.size, condition: job.condition, signal: job.signal };
  const begun = await job.sessions?.resumed(store, name, start) ?? null;
  let told = 0;
  const moved = (bytes: number) => {
    told += bytes;
    job.moved(bytes);
  };
  try {
    if (begun) return await sendAll({ ...job, moved }, begun, reader);
  } catch (error) {
    if (!(error instanceof StorageNotFoundError)) throw error;
    job.moved(-told); // the store forgot it: begin anew
  }
  const started = await retried(job.retries, job.signal, () => store.startUpload(name, start));
  return await sendAll(job, started, reader);
}

async function putFile(job: Upload, reader: FileReader): Promise<StoredFile> {
  const buffer = await job.buffers.take(reader.size);
  try {
    const stored = await put(job, await reader.read(0, reader.size, buffer));
    job.moved(reader.size);
    return stored;
  } finally {
    job.buffers.give(buffer);
  }
}

async function sendAll(job: Upload, parts: PartUpload, reader: FileReader): Promise<StoredFile> {
  const { store, name, sessions, signal } = job;
  try {
    const keep = async () => await sessions?.keep(store.uri, name, reader.size, parts.token);
    await keep();
    const sum = await sendWhole(job, parts, reader, keep);
    const stored = await shown(job, parts, reader.size, sum);
    await sessions?.forget(store.uri, name, reader.size);
    await refuseDamaged(store, stored, reader.size, sum);
    return stored;
  } catch (error) {
    const goesOn = sessions !== null && (error instanceof StorageInterruptedError || signal?.aborted);
    if (!goesOn) {
      await parts.abort().catch(() => {}); // the first failure is the one to tell
      await sessions?.forget(store.uri, name, reader.size);
    }
    throw error;
  }
}

/** @returns The CRC-32C of the whole file, or 0 where the store has no use for it. */
async function sendWhole(
  job: Upload,
  parts: PartUpload,
  reader: FileReader,
  arrived: () => Promise<void>,
): Promise<number> {
  if (!parts.copy || reader.path === undefined) return await sendParts({ ...job, arrived }, parts, reader);
  await parts.copy(reader.path, job);
  return 0;
}

/** Writes bytes in one request. */
export async function put(
  { store, name, condition, retries, signal }: Omit<Upload, "moved" | "sessions" | "buffers">,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<StoredFile> {
  const options: PutOptions = { condition, crc32c: store.sums ?? true ? crc32c(bytes) : 0, signal };
  const stored = await retried(retries, signal, (attempt) =>
    orWrittenBefore(
      store,
      name,
      attempt,
      bytes.length,
      options,
      () => store.put(name, bytes, options),
    ));
  await refuseDamaged(store, stored, bytes.length, options.crc32c);
  return stored;
}

/** Takes back what arrived damaged. @throws {StorageDamagedError} */
export async function refuseDamaged(
  store: ObjectStore,
  stored: StoredFile,
  size: number,
  sum: number,
): Promise<void> {
  try {
    checkStored(`${store.uri}/${stored.name}`, stored, size, sum);
  } catch (error) {
    await store.remove(stored.name, { ifVersion: stored.version }).catch(() => {});
    throw error;
  }
}

/** Makes an upload in parts appear. */
export function shown(
  job: Omit<Upload, "moved" | "sessions" | "buffers">,
  parts: PartUpload,
  size: number,
  sum: number,
): Promise<StoredFile> {
  const { store, name, condition, signal } = job;
  const options: PutOptions = { condition, crc32c: sum, signal };
  return retried(
    job.retries,
    signal,
    (attempt) => orWrittenBefore(store, name, attempt, size, options, () => parts.finish(options)),
  );
}

/** A write whose answer was lost looks like a conflict, or like an upload that is gone, when it is tried again. */
async function orWrittenBefore(
  store: ObjectStore,
  name: string,
  attempt: number,
  size: number,
  { crc32c: sum, signal }: PutOptions,
  write: () => Promise<StoredFile>,
): Promise<StoredFile> {
  try {
    return await write();
  } catch (error) {
    const maybe = error instanceof StorageConflictError || error instanceof StorageNotFoundError;
    if (attempt === 0 || !maybe) throw error;
    const there = await store.head(name, signal).catch(() => null);
    if (there?.size === size && there.checksum?.hex === crcHex(sum)) return there;
    throw error;
  }
}
