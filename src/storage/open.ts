/**
 * Which backend a URI names; only that one is loaded. Deno only.
 *
 * @module
 */
import { logger } from "../logger.ts";
import { parseStorageUri } from "../storage_uri.ts";
import type { OpenedUri } from "../storage_manager.ts";
import { LocalStorageManager } from "./local_store.ts";

export type { OpenedUri } from "../storage_manager.ts";

/**
 * Opens the bucket of a URI with the credentials of the environment. Of a path on this machine, its folder is the bucket.
 *
 * @throws {ConfigError} If the URI is not spelt as one.
 */
export async function openStorage(uri: string): Promise<OpenedUri> {
  const { scheme, bucket, name } = parseStorageUri(uri);
  logger("storage").debug("{uri} is {name} of bucket {bucket} on {scheme}", { uri, scheme, bucket, name });
  switch (scheme) {
    case "gs":
      return { storage: new (await import("./gcs.ts")).GcsStorageManager(bucket), name };
    case "s3":
      return { storage: new (await import("./s3.ts")).S3StorageManager(bucket), name };
    case "az":
      return { storage: new (await import("./azure.ts")).AzureStorageManager(bucket), name };
    case "hf":
      return { storage: new (await import("./hub.ts")).HubStorageManager(bucket), name };
    case "file": {
      const slash = name.lastIndexOf("/");
      return {
        storage: new LocalStorageManager(slash < 0 ? "." : name.slice(0, slash) || "/"),
        name: name.slice(slash + 1),
      };
    }
  }
}
