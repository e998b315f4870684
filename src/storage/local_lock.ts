/**
 * A lock on a folder of this machine's disk, which the system releases when its process ends, however it does. Deno only.
 *
 * @module
 */
import type { FolderLock, LockMode } from "../storage.ts";

/** No listing shows it. Where a process was killed it stays, and is taken over. */
export const LOCK_FILE = ".lowrank.lock";

/**
 * Takes a folder, creating it if needed; null if another holds it. Folders that were created for the lock and are empty
 * when it is released are removed then.
 */
export async function lockFolder(path: string, mode: LockMode): Promise<FolderLock | null> {
  const created = await missingFolders(path);
  const lockPath = `${path}/${LOCK_FILE}`;
  while (true) {
    await Deno.mkdir(path, { recursive: true });
    const file = await Deno.open(lockPath, { write: true, create: true }).catch(absent);
    if (!file) continue; // whoever held it before has just removed the folder
    // some network disks know no locks: a run there is as alone as its user makes it
    const isTaken = await file.tryLock(mode === "exclusive").catch(() => true);
    if (!isTaken) {
      file.close();
      return null;
    }
    if (await isStill(file, lockPath)) {
      // others may share the file: it stays
      if (mode === "shared") return { release: () => Promise.resolve(file.close()) };
      return { release: () => release(file, lockPath, created) };
    }
    file.close(); // whoever held it before has just removed it
  }
}

async function release(file: Deno.FsFile, lockPath: string, created: readonly string[]): Promise<void> {
  await Deno.remove(lockPath).catch(() => {}); // some systems remove no open file; the next run takes it over
  file.close();
  for (const folder of created) {
    const removed = await Deno.remove(folder).then(() => true, () => false); // one that holds something stays
    if (!removed) return;
  }
}

/** Folders on the way to a path that do not exist, the innermost first. */
async function missingFolders(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let folder = path; folder !== ""; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/")))) {
    if (await Deno.stat(folder).catch(absent)) break;
    missing.push(folder);
  }
  return missing;
}

/** Whether a name still means the file that was opened by it. */
async function isStill(file: Deno.FsFile, path: string): Promise<boolean> {
  const opened = await file.stat();
  const named = await Deno.stat(path).catch(absent);
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
}

/** Nothing, for what is not there. */
function absent(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
