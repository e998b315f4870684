/**
 * Which backend opens a folder named on the command line.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Folder } from "../storage.ts";
import { LocalFolder } from "../storage/local.ts";
import { hubDatasets } from "./hub.ts";

/** Opens a folder of this machine, or one of a data set on the Hub. @throws {ConfigError} If the uri names another place. */
export function openFolder(uri: string): Folder {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//.exec(uri)?.[1];
  const found = scheme === "hf" ? hubDatasets().folder(uri) : null;
  if (found) return found;
  if (scheme) {
    throw new ConfigError([{
      path: `"${uri}"`,
      message: scheme === "hf"
        ? "names no data set: write hf://datasets/OWNER/NAME/FILE"
        : `is on ${scheme}://, but this version reads local folders and hf://datasets only`,
    }]);
  }
  return new LocalFolder(uri);
}
