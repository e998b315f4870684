/**
 * Checksums of files that come piece by piece, by the algorithms that stores tell them in.
 *
 * @module
 */
import { md5, sha1 } from "@noble/hashes/legacy.js";
import { Sha256 } from "../../src/data/sha256.ts";
import type { Digest } from "../../src/storage/object_store.ts";
import type { Checksum } from "../../src/storage_manager.ts";

/** @param size Bytes of the whole file; git puts it in front. */
export function storeDigest({ algorithm }: Checksum, size: number): Digest {
  if (algorithm === "sha256") {
    const sum = new Sha256();
    return { update: (bytes) => sum.update(bytes), hex: () => sum.digest() };
  }
  const hash = algorithm === "md5" ? md5.create() : sha1.create();
  if (algorithm === "git-sha1") hash.update(new TextEncoder().encode(`blob ${size}\0`));
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest().toHex() };
}
