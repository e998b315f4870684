/**
 * Where a user's machine keeps what can be made again: measurements of the adapter.
 *
 * @module
 */
import type { Folder } from "../storage.ts";
import { LocalFolder } from "../storage/local.ts";

/** `lowrank` in the system's cache directory; null where the environment names none. */
export function cachePath(
  env: Readonly<Record<string, string | undefined>>,
  os: typeof Deno.build.os,
): string | null {
  const { XDG_CACHE_HOME, HOME, LOCALAPPDATA } = env;
  if (os === "windows") return LOCALAPPDATA ? `${LOCALAPPDATA}\\lowrank` : null;
  if (XDG_CACHE_HOME) return `${XDG_CACHE_HOME}/lowrank`;
  if (!HOME) return null;
  return os === "darwin" ? `${HOME}/Library/Caches/lowrank` : `${HOME}/.cache/lowrank`;
}

/** The folder of this process's user. */
export function cacheFolder(): Folder | null {
  const path = cachePath(Deno.env.toObject(), Deno.build.os);
  return path === null ? null : new LocalFolder(path);
}
