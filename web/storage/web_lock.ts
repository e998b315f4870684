/**
 * Locks that all tabs of the page share. The browser releases those of a tab that is closed.
 *
 * @module
 */
import type { FolderLock, LockMode } from "../../src/storage.ts";

/** Takes a lock by its name; null if another tab or worker holds it. */
export function webLock(name: string, mode: LockMode = "exclusive"): Promise<FolderLock | null> {
  return new Promise((taken, failed) => {
    const over = navigator.locks.request(name, { mode, ifAvailable: true }, (lock) => {
      if (!lock) return taken(null);
      return new Promise<void>((done) => {
        taken({
          release: async () => {
            done();
            await over;
          },
        });
      });
    });
    over.catch(failed);
  });
}
