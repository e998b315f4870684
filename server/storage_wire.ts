/**
 * Files and uploads of the proxy as clients see them.
 *
 * @module
 */
import * as z from "zod/mini";
import type { StoredFile } from "../src/storage_manager.ts";
import { entityTag } from "./conditions.ts";
import type { ProxyUpload } from "./proxy_uploads.ts";

/** A file as clients see it. */
export const storedFileSchema = z.object({
  object: z.literal("storage.file"),
  path: z.string(),
  bytes: z.int(),
  etag: z.string(),
  checksum: z.nullable(z.object({ algorithm: z.string(), hex: z.string() })),
});

/** A file as clients see it. */
export function storedFileToWire(path: string, file: StoredFile): z.output<typeof storedFileSchema> {
  const { size, checksum } = file;
  return { object: "storage.file", path, bytes: size, etag: entityTag(file), checksum };
}

/** An upload as clients see it. */
export const uploadSchema = z.object({
  object: z.literal("storage.upload"),
  id: z.string(),
  path: z.string(),
  bytes: z.int(),
  /** Bytes that the store has. */
  offset: z.int(),
  /** Least bytes of a request that does not go to the end. */
  part_bytes: z.int(),
});

export function uploadToWire({ id, target, upload }: ProxyUpload): z.output<typeof uploadSchema> {
  const { size, sent, partBytes } = upload;
  return {
    object: "storage.upload",
    id,
    path: target.path,
    bytes: size,
    offset: sent,
    part_bytes: partBytes,
  };
}
