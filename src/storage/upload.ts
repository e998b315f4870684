/**
 * Uploading a file: small ones in one request, large ones in parts that are tried again on their own and that a later
 * process can go on with.
 *
 * @module
 */
import { crc32c, joinedCrc32c } from "../crc32c.ts";
import { StorageConflictError, StorageInterruptedError, StorageNotFoundError } from "../errors.ts";
import type { FileReader } from "../storage.ts";
import type { StoredFile, WriteCondition } from "../storage_manager.ts";
import { checkStored, crcHex } from "./checksums.ts";
import type { Transfer } from "./download.ts";
import type { ObjectStore, Part, PartUpload, PutOptions } from "./object_store.ts";
import { retried, Retries } from "./retry.ts";
import type { UploadSessions } from "./upload_sessions.ts";

/** A file on its way to a store. */
export interface Upload extends Transfer {
  readonly name: string;
  readonly condition: WriteCondition | null;
  readonly sessions: UploadSessions | null;
}

/** Sends all of a file. @throws {StorageDamagedError} If something else arrived. */
export async function upload(job: Upload, reader: FileReader): Promise<StoredFile> {
  const { store, name } = job;
  if (reader.size <= store.largestPut) {
    const bytes = await reader.read(0, reader.size);
    const stored = await put(job, bytes);
    job.moved(bytes.length);
    return stored;
  }
  const start = { size: reader.size, condition: job.condition, signal: job.signal };
  const begun = await job.sessions?.resumed(store, name, start) ?? null;
  try {
    if (begun) return await sendAll(job, begun, reader);
  } catch (error) {
    if (!(error instanceof StorageNotFoundError)) throw error;
    job.moved(-await begun!.sent()); // the store forgot it: begin anew
  }
  return await sendAll(
    job,
    await retried(job.retries, job.signal, () => store.startUpload(name, start)),
    reader,
  );
}

async function sendAll(job: Upload, parts: PartUpload, reader: FileReader): Promise<StoredFile> {
  const { store, name, sessions, signal } = job;
  try {
    await sessions?.keep(store.uri, name, reader.size, parts.token);
    const sum = await sendParts(job, parts, reader);
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

/** Writes bytes in one request. */
export async function put(
  { store, name, condition, retries, signal }: Omit<Upload, "moved" | "sessions">,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<StoredFile> {
  const options: PutOptions = { condition, crc32c: crc32c(bytes), signal };
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
async function refuseDamaged(
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

/** Sends what the store does not have yet, and returns the CRC-32C of the whole file. */
async function sendParts(job: Upload, parts: PartUpload, reader: FileReader): Promise<number> {
  const { size } = reader;
  const retries = new Retries(job.retries, job.signal);
  let sum = 0, summed = 0;
  const read = async (offset: number): Promise<Part> => {
    const bytes = await reader.read(offset, Math.min(parts.partBytes, size - offset));
    const part = { offset, bytes, crc32c: crc32c(bytes) };
    const end = offset + bytes.length;
    if (offset === summed) sum = joinedCrc32c(sum, part.crc32c, bytes.length);
    else if (end > summed) sum = joinedCrc32c(sum, crc32c(bytes.subarray(summed - offset)), end - summed);
    summed = Math.max(summed, end);
    return part;
  };
  let offset = await retried(job.retries, job.signal, () => parts.sent(job.signal));
  // what an earlier process sent is read again, for the sum and since the file may be another one by now
  for (let at = 0; at < offset; at += parts.partBytes) {
    const part = await read(at);
    if (parts.holds?.(part) === false) offset = at;
  }
  job.moved(offset);
  while (offset < size) {
    job.signal?.throwIfAborted();
    const part = await read(offset);
    try {
      await parts.send(part, job.signal);
      job.moved(part.bytes.length);
      offset += part.bytes.length;
      retries.progress();
      await job.sessions?.keep(job.store.uri, job.name, size, parts.token);
    } catch (error) {
      await retries.after(error);
      const there = await retried(job.retries, job.signal, () => parts.sent(job.signal));
      job.moved(there - offset);
      offset = there;
    }
  }
  return sum;
}

/** Makes an upload in parts appear. */
function shown(job: Upload, parts: PartUpload, size: number, sum: number): Promise<StoredFile> {
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
