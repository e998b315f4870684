/**
 * Folders of buckets that a command reads from, opened before they are asked for.
 *
 * @module
 */
import type { ReadableFolder } from "../storage.ts";
import type { OpenStorage } from "../storage_manager.ts";
import { isRemote } from "../storage_uri.ts";
import { openStorage } from "../storage/open.ts";

/** What is read: files, or patterns of them, and whole folders. Null: none. */
export interface ReadPaths {
  readonly files: readonly (string | null)[];
  readonly folders?: readonly (string | null)[];
}

/**
 * Opens folders as `files` does, and those in buckets that the paths lie in. The Hub's stay with `files`, which has a
 * cache for them.
 *
 * @param open Opens a bucket; default with the credentials of the environment.
 * @throws {ConfigError} If a URI is spelt as none.
 */
export async function withBuckets<F extends ReadableFolder>(
  files: (uri: string) => F,
  paths: ReadPaths,
  open: OpenStorage = openStorage,
): Promise<(uri: string) => F | ReadableFolder> {
  const opened = new Map<string, ReadableFolder>();
  const uris = [
    ...paths.files.map((path) => path && path.slice(0, path.lastIndexOf("/") + 1)),
    ...paths.folders ?? [],
  ];
  for (const uri of uris) {
    if (!uri || !isRemote(uri) || uri.startsWith("hf://")) continue;
    const { storage, name } = await open(uri);
    opened.set(uri, storage.folder(name));
  }
  return (uri) => opened.get(uri) ?? files(uri);
}
