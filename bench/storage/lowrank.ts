/**
 * Lowrank's storage with its defaults.
 *
 * @module
 */
import { LocalFolder } from "../../src/storage/local.ts";
import { openStorage } from "../../src/storage/open.ts";
import type { Mover } from "./transfer_child.ts";

/** @param uri The bucket. */
export async function lowrankMover(uri: string): Promise<Mover> {
  const { storage } = await openStorage(uri.includes("://") ? uri : `${uri}/x`);
  return {
    upload: (folder) => storage.uploadFolder(new LocalFolder(folder), "folder"),
    download: (folder) => storage.downloadFolder("folder", new LocalFolder(folder)),
  };
}
