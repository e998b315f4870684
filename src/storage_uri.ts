/**
 * Where a file or folder is, as one line of text.
 *
 *     gs://BUCKET/NAME   s3://BUCKET/NAME   az://CONTAINER/NAME
 *     hf://OWNER/MODEL[@REVISION]/NAME   hf://datasets/OWNER/DATA[@REVISION]/NAME
 *     file:///ABSOLUTE/PATH, or a plain path
 *
 * @module
 */
import { ConfigError } from "./errors.ts";

/** Where a bucket is: the services by the scheme of their URIs, and this machine. */
export const STORAGE_SCHEMES = ["gs", "s3", "az", "hf", "file"] as const;
/** One of {@link STORAGE_SCHEMES}. */
export type StorageScheme = (typeof STORAGE_SCHEMES)[number];

/** A URI, taken apart. */
export interface StorageUri {
  readonly scheme: StorageScheme;
  /** Bucket, container, or repository with its kind and revision; empty for files of this machine. */
  readonly bucket: string;
  /** Name within the bucket, without a slash in front; empty for the whole bucket. A path for `file`. */
  readonly name: string;
}

/** Bucket names that S3, GCS and Azure may have between them. */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
const REPOSITORY = /^((?:datasets|spaces|models)\/)?([\w.-]+\/[\w.-]+(?:@[^/]+)?)(?:\/(.*))?$/;

/** Whether a path names another place than this machine's disk. */
export function isRemote(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//.test(path) && !path.startsWith("file://");
}

/** What a URI begins with; `file` for a plain path. */
export function schemeOf(uri: string): string {
  return /^([a-z][a-z0-9+.-]+):\/\//.exec(uri)?.[1] ?? "file";
}

/**
 * Takes a URI apart. Of a plain path nothing but `name` is set.
 *
 * @throws {ConfigError} If the scheme is unknown, or bucket or repository is not spelt as one.
 */
export function parseStorageUri(uri: string): StorageUri {
  const [, scheme, rest = ""] = /^([a-z][a-z0-9+.-]+):\/\/(.*)$/s.exec(uri) ?? [];
  if (scheme === undefined) return { scheme: "file", bucket: "", name: uri };
  if (scheme === "file") return { scheme, bucket: "", name: filePath(uri, rest) };
  if (scheme === "hf") {
    const [, kind = "", repository, name = ""] = REPOSITORY.exec(rest) ?? [];
    if (repository === undefined) {
      throw refused(uri, "needs a repository, such as hf://owner/model/config.json");
    }
    return { scheme, bucket: kind.replace("models/", "") + repository, name };
  }
  if (!(STORAGE_SCHEMES as readonly string[]).includes(scheme)) {
    throw refused(uri, `begins with ${scheme}://, but storage is one of gs://, s3://, az://, hf://, file://`);
  }
  const slash = rest.indexOf("/");
  const bucket = slash < 0 ? rest : rest.slice(0, slash);
  if (!BUCKET.test(bucket)) {
    throw refused(
      uri,
      `needs a bucket of lower-case letters, digits, ".", "_" and "-", as in ${scheme}://bucket/name`,
    );
  }
  return { scheme: scheme as StorageScheme, bucket, name: slash < 0 ? "" : rest.slice(slash + 1) };
}

/** The text of a URI; the inverse of {@link parseStorageUri}, but that `file` paths come back plain. */
export function storageUri({ scheme, bucket, name }: StorageUri): string {
  if (scheme === "file") return name;
  return `${scheme}://${bucket}${name === "" ? "" : `/${name}`}`;
}

function filePath(uri: string, rest: string): string {
  if (!rest.startsWith("/")) {
    throw refused(uri, "needs three slashes and an absolute path, as in file:///data");
  }
  return decodeURIComponent(rest);
}

function refused(uri: string, message: string): ConfigError {
  return new ConfigError([{ path: `"${uri}"`, message }]);
}
