/**
 * Which backend opens a folder named on the command line.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Folder } from "../storage.ts";
import { LocalFolder } from "../storage/local.ts";

/** Opens a folder of this machine. @throws {ConfigError} If the uri names another place. */
export function openFolder(uri: string): Folder {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//.exec(uri)?.[1];
  if (scheme) {
    throw new ConfigError([{
      path: `"${uri}"`,
      message: `is on ${scheme}://, but this version reads local folders only`,
    }]);
  }
  return new LocalFolder(uri);
}
