/**
 * Downloading a file that grows under its own name: what came before a break counts, in a later process too.
 *
 * @module
 */
import type { Folder } from "../storage.ts";
import type { StoredFile } from "../storage_manager.ts";
import { checkReceived, digestFor } from "./checksums.ts";
import { bytesOf, type Transfer } from "./download.ts";
import { gathered } from "./gathered.ts";
import type { Digest } from "./object_store.ts";

/** Bytes that are read or appended at once. */
const PIECE_BYTES = 4 << 20;

/**
 * Appends what is missing of a file, then compares the whole with the store's checksum. Whether it is whole cannot be
 * told by looking at it: who calls must note that it came to its end.
 *
 * @throws {StorageDamagedError} If the bytes are not those of the store; the file is removed then.
 */
export async function continueDownload(
  transfer: Transfer,
  file: StoredFile,
  folder: Folder,
  name: string,
): Promise<void> {
  const { store, moved } = transfer, digest = digestFor(file, store);
  let size = await kept(folder, name, file.size, digest, transfer);
  for await (const piece of gathered(bytesOf(transfer, file, size), PIECE_BYTES)) {
    await folder.append(name, piece);
    digest?.update(piece);
    size += piece.length;
    moved(piece.length);
  }
  if (file.size === 0) await folder.append(name, new Uint8Array());
  try {
    checkReceived(`${store.uri}/${file.name}`, file, size, digest);
  } catch (error) {
    await folder.remove(name);
    throw error;
  }
  await folder.sync(name);
}

/** Bytes that are there already, all of them told to the digest. A file that is too long is none of this store's. */
async function kept(
  folder: Folder,
  name: string,
  wanted: number,
  digest: Digest | null,
  { moved, signal }: Transfer,
): Promise<number> {
  if (!await folder.exists(name)) return 0;
  const reader = await folder.open(name), { size } = reader;
  try {
    for (let at = 0; size <= wanted && at < size; at += PIECE_BYTES) {
      signal?.throwIfAborted();
      const bytes = await reader.read(at, Math.min(PIECE_BYTES, size - at));
      digest?.update(bytes);
      moved(bytes.length);
    }
  } finally {
    await reader.close();
  }
  if (size <= wanted) return size;
  await folder.remove(name);
  return 0;
}
