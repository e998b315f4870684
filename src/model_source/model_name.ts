/**
 * What the name of a base model may mean.
 *
 * @module
 */
import { isGgufName } from "../checkpoint/gguf_model.ts";
import { ConfigError } from "../errors.ts";
import { isRemote, parseStorageUri, schemeOf, STORAGE_SCHEMES } from "../storage_uri.ts";

/** A repository of the Hub. */
export interface HubName {
  /** `OWNER/NAME` */
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** Where a model may be; null where the name cannot mean such a place. */
export interface ModelName {
  /** A folder of this machine, or a GGUF file. */
  readonly path: string | null;
  /** A folder of a bucket that the name itself tells. */
  readonly bucketFolder: string | null;
  /** A folder below `models/` of the bucket that the job is given; empty for `models/` itself. */
  readonly bucketName: string | null;
  readonly hub: HubName | null;
  /** The GGUF file in that folder or repository; null for a folder of safetensors. */
  readonly file: string | null;
}

const NOWHERE: ModelName = { path: null, bucketFolder: null, bucketName: null, hub: null, file: null };
const HUB_URI = /^hf:\/\/(?:models\/)?([\w.-]+\/[\w.-]+)(?:@([^/]+))?(?:\/(.+))?$/;
const HUB_NAME = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:@(.+))?$/;
/** Owners that the Hub gives to nobody, and folders that many a machine has. */
const NO_OWNER = /^(models|datasets|spaces|runs)\//;

/** @throws {ConfigError} If it is a URI that names no model. One of a scheme that is not known here may be a plugin's. */
export function parseModelName(text: string): ModelName {
  const name = text.replace(/(?<=[^/])\/+$/, "");
  if (name.startsWith("hf://")) return { ...NOWHERE, ...hubUri(text, name) };
  const isKnown = (STORAGE_SCHEMES as readonly string[]).includes(schemeOf(name));
  const { name: path } = isKnown ? parseStorageUri(name) : { name };
  if (isRemote(name)) {
    const { folder, file } = parted(name);
    return { ...NOWHERE, bucketFolder: folder, file };
  }
  const isNamed = !/^(\.{0,2}\/|\.{1,2}$)/.test(path) && !path.includes("\\") && path === name;
  const { folder, file } = parted(path);
  const [, repository, revision = "main"] = (file === null && isNamed && HUB_NAME.exec(path)) || [];
  const hub = repository === undefined || NO_OWNER.test(repository) ? null : { repository, revision };
  return {
    path,
    bucketFolder: null,
    bucketName: isNamed ? hub?.repository ?? (file === null ? path : folder === "." ? "" : folder) : null,
    hub,
    file,
  };
}

function hubUri(text: string, name: string): Pick<ModelName, "hub" | "file"> {
  const [, repository, revision = "main", file = null] = HUB_URI.exec(name) ?? [];
  if (
    repository === undefined || repository.startsWith("datasets/") || (file !== null && !isGgufName(file))
  ) {
    const message =
      "names no model: write hf://OWNER/NAME, hf://OWNER/NAME@REVISION or hf://OWNER/NAME/FILE.gguf";
    throw new ConfigError([{ path: `"${text}"`, message }]);
  }
  return { hub: { repository, revision: decodeURIComponent(revision) }, file };
}

function parted(name: string): { readonly folder: string; readonly file: string | null } {
  if (!isGgufName(name)) return { folder: name, file: null };
  const slash = name.lastIndexOf("/");
  return { folder: slash < 0 ? "." : name.slice(0, slash) || "/", file: name.slice(slash + 1) };
}
