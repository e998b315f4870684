/**
 * Copies within this machine, by the system: the bytes never come into this process, and a file system that can share them
 * between files does. Deno only.
 *
 * @module
 */
import type { CopyOptions } from "../storage.ts";

/** How often a long copy is looked at, ms. */
const LOOK_MS = 500;

/** A file that was opened to write to it. */
export interface OpenedFile {
  readonly path: string;
  readonly file: Deno.FsFile;
}

/**
 * Fills a file with the bytes of another. It keeps its own mode.
 *
 * @returns Its bytes.
 * @throws The signal's reason, at once; what the system still writes goes away then.
 */
export async function copyFile(
  from: string,
  to: OpenedFile,
  { moved = () => {}, signal }: CopyOptions,
): Promise<number> {
  const { mode } = await to.file.stat();
  signal?.throwIfAborted();
  const copying = Deno.copyFile(from, to.path);
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = () => {
    reject(signal!.reason);
    void copying.catch(() => {}).then(() => Deno.remove(to.path).catch(() => {}));
  };
  signal?.addEventListener("abort", stop, { once: true });
  let told = 0;
  const tell = (size: number) => {
    moved(size - told);
    told = size;
  };
  const timer = setInterval(() => tell(sizeNow(to.file) ?? told), LOOK_MS);
  try {
    await Promise.race([copying, stopped]);
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", stop);
  }
  if (mode !== null && Deno.build.os !== "windows") await Deno.chmod(to.path, mode & 0o7777);
  const { size } = await to.file.stat();
  tell(size);
  return size;
}

/** Null once it is closed. */
function sizeNow(file: Deno.FsFile): number | null {
  try {
    return file.statSync().size;
  } catch {
    return null;
  }
}
