/**
 * Downloading a file: streamed, continued where it broke off, verified, then shown.
 *
 * @module
 */
import { StorageInterruptedError } from "../errors.ts";
import type { FileWriter } from "../storage.ts";
import type { StoredFile } from "../storage_manager.ts";
import { checkReceived, digestFor } from "./checksums.ts";
import { gathered } from "./gathered.ts";
import type { Digest, ReadableStore } from "./object_store.ts";
import { Retries, type RetryPolicy } from "./retry.ts";

const GATHERED_BYTES = 1 << 20;
/** Pieces that are worth a write of their own. */
const LARGE_BYTES = 128 << 10;

/** What a transfer of one file needs to know. */
export interface Transfer<Store extends ReadableStore = ReadableStore> {
  readonly store: Store;
  readonly retries: RetryPolicy;
  readonly signal: AbortSignal | undefined;
  /** Told of bytes as they move. */
  readonly moved: (bytes: number) => void;
}

/**
 * Bytes [offset, end) of a file as they come. After a break the rest is asked for again, of the same version.
 *
 * @throws {StorageInterruptedError} If nothing came in several tries.
 */
export async function* bytesOf(
  { store, retries: policy, signal }: Omit<Transfer, "moved">,
  file: StoredFile,
  offset = 0,
  end = file.size,
): AsyncGenerator<Uint8Array> {
  const retries = new Retries(policy, signal);
  for (let at = offset; at < end;) {
    signal?.throwIfAborted();
    try {
      for await (const bytes of await store.open(file, at, end, signal)) {
        at += bytes.length;
        retries.progress();
        yield bytes;
        signal?.throwIfAborted();
      }
      if (at < end) {
        throw new StorageInterruptedError(
          `Cannot read all of "${store.uri}/${file.name}" as the service ended it at byte ${at} of ${end}: try again`,
        );
      }
    } catch (error) {
      await retries.after(error);
    }
  }
}

/** Writes a file to where it goes, and shows it there if it is what the store has. */
export async function download(transfer: Transfer, file: StoredFile, writer: FileWriter): Promise<void> {
  const { store, moved, signal } = transfer, digest = digestFor(file, store);
  const copy = digest === null ? writer.copy?.bind(writer) : undefined;
  try {
    const size = store.copied && copy
      ? await store.copied(file, (path) => copy(path, { moved, signal }))
      : await receive(transfer, file, writer, digest);
    checkReceived(`${store.uri}/${file.name}`, file, size, digest);
    await writer.commit();
  } finally {
    await writer.abort();
  }
}

/** Writes bytes as they come. @returns How many came. */
async function receive(
  transfer: Transfer,
  file: StoredFile,
  writer: FileWriter,
  digest: Digest | null,
): Promise<number> {
  let size = 0;
  const pieces = gathered(bytesOf(transfer, file), Math.min(GATHERED_BYTES, file.size), LARGE_BYTES);
  for await (const bytes of pieces) {
    await writer.write(bytes);
    digest?.update(bytes);
    size += bytes.length;
    transfer.moved(bytes.length);
  }
  return size;
}
