/**
 * Which parts of which buckets the operator offers, as the command line says it: `gs://my-bucket/models:rw`,
 * `data=/srv/data`.
 *
 * @module
 */
import { ConfigError } from "../src/errors.ts";
import { parseStorageUri } from "../src/storage_uri.ts";

/** One of them. */
export interface StorageGrant {
  /** How requests name it, such as `gs/my-bucket/models` or `local/data`. */
  readonly path: string;
  /** What is opened. Folders of this machine end with a slash. */
  readonly uri: string;
  readonly isWritable: boolean;
}

const EXPECTED = "write it like gs://my-bucket/models, s3://my-bucket:rw, or NAME=/folder of this machine";

/**
 * Takes the values of a flag apart, which are joined by commas.
 *
 * @throws {ConfigError} With everything that is wrong.
 */
export function parseStorageGrants(text: string): StorageGrant[] {
  const grants: StorageGrant[] = [], issues: { path: string; message: string }[] = [];
  for (const word of text.split(",").map((part) => part.trim()).filter(Boolean)) {
    try {
      const grant = grantOf(word);
      const isTwice = grants.some(({ path }) => path === grant.path);
      if (isTwice) issues.push({ path: "--storage", message: `names ${grant.path} twice` });
      grants.push(grant);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      issues.push(
        ...error.issues.map(({ message }) => ({ path: "--storage", message: `"${word}" ${message}` })),
      );
    }
  }
  if (issues.length > 0) throw new ConfigError(issues);
  return grants;
}

function grantOf(word: string): StorageGrant {
  const [, plain = "", right] = /^(.*?)(?::(ro|rw))?$/s.exec(word)!, isWritable = right === "rw";
  const [, label, folder] = /^([a-z0-9][a-z0-9_-]{0,62})=(.+)$/s.exec(plain) ?? [];
  if (label !== undefined) {
    if (/^[a-z][a-z0-9+.-]+:\/\//.test(folder!)) {
      throw refused("names a bucket, which has its own name: write it without NAME=");
    }
    return { path: `local/${label}`, uri: `${folder!.replace(/\/+$/, "")}/`, isWritable };
  }
  const { scheme, bucket, name } = parseStorageUri(plain);
  if (scheme === "file") throw refused(`needs a name, so that requests need not tell a path: ${EXPECTED}`);
  if (scheme === "hf" && isWritable) throw refused("cannot be written: the Hub is only read");
  const prefix = name.replace(/\/+$/, "");
  if (prefix !== "" && prefix.split("/").some((part) => part === "" || part === "." || part === "..")) {
    throw refused(`has a prefix with parts that are empty, "." or "..": ${EXPECTED}`);
  }
  const path = [scheme, bucket, prefix].filter(Boolean).join("/");
  return { path, uri: `${scheme}://${[bucket, prefix].filter(Boolean).join("/")}`, isWritable };
}

function refused(message: string): ConfigError {
  return new ConfigError([{ path: "--storage", message }]);
}
