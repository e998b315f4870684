/**
 * Which backend a URI names; only that one is loaded. Deno only.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { logger } from "../logger.ts";
import { parseStorageUri, schemeOf, type StorageScheme } from "../storage_uri.ts";
import type { OpenedUri, StorageBackend, StorageManager } from "../storage_manager.ts";
import { LocalStorageManager } from "./local_store.ts";

export type { OpenedUri } from "../storage_manager.ts";

/** The backends that there are without plugins. */
export const STORAGE_BACKENDS: readonly StorageBackend[] = [
  backend("gs", async (bucket) => new (await import("./gcs.ts")).GcsStorageManager(bucket)),
  backend("s3", async (bucket) => new (await import("./s3.ts")).S3StorageManager(bucket)),
  backend("az", async (bucket) => new (await import("./azure.ts")).AzureStorageManager(bucket)),
  backend("hf", async (bucket) => new (await import("./hub.ts")).HubStorageManager(bucket)),
  { schemes: ["file"], open: openLocal },
];

/**
 * Opens the bucket of a URI with the credentials of the environment. Of a path on this machine, its folder is the bucket.
 *
 * @param backends Those that there are; default {@link STORAGE_BACKENDS}.
 * @throws {ConfigError} If the URI is not spelt as one, or its scheme is no backend's.
 */
export async function openStorage(
  uri: string,
  backends: readonly StorageBackend[] = STORAGE_BACKENDS,
): Promise<OpenedUri> {
  const scheme = schemeOf(uri), found = backends.find(({ schemes }) => schemes.includes(scheme));
  if (found) return await found.open(uri);
  const known = backends.flatMap(({ schemes }) => schemes).map((name) => `${name}://`).join(", ");
  throw new ConfigError([{
    path: `"${uri}"`,
    message: `begins with ${scheme}://, but storage is one of ${known}`,
  }]);
}

function backend(scheme: StorageScheme, open: (bucket: string) => Promise<StorageManager>): StorageBackend {
  return {
    schemes: [scheme],
    async open(uri) {
      const { bucket, name } = parseStorageUri(uri);
      logger("storage").debug("{uri} is {name} of bucket {bucket} on {scheme}", {
        uri,
        scheme,
        bucket,
        name,
      });
      return { storage: await open(bucket), name };
    },
  };
}

function openLocal(uri: string): OpenedUri {
  const { name } = parseStorageUri(uri), slash = name.lastIndexOf("/");
  return {
    storage: new LocalStorageManager(slash < 0 ? "." : name.slice(0, slash) || "/"),
    name: name.slice(slash + 1),
  };
}
