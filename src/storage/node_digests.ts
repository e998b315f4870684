/**
 * Checksums that WebCrypto cannot compute piece by piece. Deno and Node only.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Checksum } from "../storage_manager.ts";
import type { Digest } from "./object_store.ts";

const TURN_BYTES = 1 << 20;

/** @param size Bytes of the whole file; git puts it in front. */
export function nodeDigest({ algorithm }: Checksum, size: number): Digest {
  const hash = createHash(algorithm === "git-sha1" ? "sha1" : algorithm === "md5" ? "md5" : "sha256");
  if (algorithm === "git-sha1") hash.update(`blob ${size}\0`);
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest("hex") };
}

/** MD5 of bytes, as Azure wants it. It is slow, so others get a turn in between: parts that are on their way go on. */
export async function md5(bytes: Uint8Array): Promise<Uint8Array> {
  const hash = createHash("md5");
  for (let at = 0; at < bytes.length; at += TURN_BYTES) {
    if (at > 0) await setImmediate();
    hash.update(bytes.subarray(at, at + TURN_BYTES));
  }
  return hash.digest();
}
