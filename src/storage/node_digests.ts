/**
 * Checksums that WebCrypto cannot compute piece by piece. Deno and Node only.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Checksum } from "../storage_manager.ts";
import type { Digest } from "./object_store.ts";

/** @param size Bytes of the whole file; git puts it in front. */
export function nodeDigest({ algorithm }: Checksum, size: number): Digest {
  const hash = createHash(algorithm === "git-sha1" ? "sha1" : algorithm === "md5" ? "md5" : "sha256");
  if (algorithm === "git-sha1") hash.update(`blob ${size}\0`);
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
}

/** MD5 of bytes, as Azure wants it. */
export function md5(bytes: Uint8Array): Uint8Array {
  return createHash("md5").update(bytes).digest();
}
