/**
 * Whether bytes are those that were sent.
 *
 * @module
 */
import { Crc32c } from "../crc32c.ts";
import { StorageDamagedError } from "../errors.ts";
import type { Folder } from "../storage.ts";
import type { Checksum, StoredFile } from "../storage_manager.ts";
import type { Digest, ObjectStore } from "./object_store.ts";

/** Bytes that are read at once to compare a file with a stored one. */
const READ_BYTES = 4 << 20;

/** A CRC-32C as stores' checksums are written. */
export function crcHex(value: number): string {
  return value.toString(16).padStart(8, "0");
}

/** CRC-32C as stores send it: four bytes, big-endian, in base 64. */
export function crcBase64(value: number): string {
  return btoa(String.fromCharCode(value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255));
}

/** The checksum that {@link crcBase64} text stands for; null where there is no such text. */
export function crcFromBase64(text: string | null | undefined): Checksum | null {
  if (!text) return null;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return bytes.length === 4 ? { algorithm: "crc32c", hex: bytes.toHex() } : null;
}

class CrcDigest implements Digest {
  readonly #sum = new Crc32c();

  update(bytes: Uint8Array): void {
    this.#sum.update(bytes);
  }

  hex(): string {
    return crcHex(this.#sum.value);
  }
}

/** What checks the bytes of a file; null where the store knows no checksum or none that can be computed here. */
export function digestFor({ checksum, size }: StoredFile, store: Pick<ObjectStore, "digest">): Digest | null {
  if (checksum === null) return null;
  if (checksum.algorithm === "crc32c") return new CrcDigest();
  return store.digest?.(checksum, size) ?? null;
}

/** @throws {StorageDamagedError} If what was written is not what the store says it has. */
export function checkStored(uri: string, stored: StoredFile, size: number, crc32c: number): void {
  const { checksum } = stored;
  const sameSum = checksum?.algorithm !== "crc32c" || checksum.hex === crcHex(crc32c);
  if (stored.size === size && sameSum) return;
  throw new StorageDamagedError(
    `The upload of "${uri}" arrived as ${stored.size} bytes with checksum ${
      checksum?.hex ?? "unknown"
    }, but ` +
      `${size} bytes with ${crcHex(crc32c)} were sent: upload it again`,
  );
}

/** @throws {StorageDamagedError} If the bytes that came are not those that the store has. */
export function checkReceived(uri: string, file: StoredFile, size: number, digest: Digest | null): void {
  const hex = digest?.hex();
  if (size === file.size && (hex === undefined || hex === file.checksum!.hex)) return;
  throw new StorageDamagedError(
    `The download of "${uri}" gave ${size} bytes with checksum ${hex ?? "unknown"}, but the store has ` +
      `${file.size} bytes with ${file.checksum?.hex ?? "unknown"}: download it again`,
  );
}

/** Whether a local file has the size and the checksum of a stored one; false where none can be compared. */
export async function isStored(
  folder: Folder,
  name: string,
  stored: StoredFile,
  store: Pick<ObjectStore, "digest">,
): Promise<boolean> {
  const reader = await folder.open(name);
  try {
    const digest = digestFor(stored, store);
    if (digest === null || reader.size !== stored.size) return false;
    for (let at = 0; at < reader.size; at += READ_BYTES) {
      digest.update(await reader.read(at, Math.min(READ_BYTES, reader.size - at)));
    }
    return digest.hex() === stored.checksum!.hex;
  } finally {
    await reader.close();
  }
}
