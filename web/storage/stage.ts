/**
 * Files of the browser's own storage that wait until somebody has taken them.
 *
 * @module
 */
import type { Folder } from "../../src/storage.ts";

const STAGE = "exports";

/** Whoever has not taken a file after so long no longer wants it. */
const STAGED_MS = 60 * 60 * 1000;

/** A folder of its own, so that what is still being taken stays. @param root Of the store. */
export function stageFolder(root: Folder): Folder {
  return root.folder(STAGE).folder(String(Date.now()));
}

/** Removes what was staged long ago. */
export async function clearStage(root: Folder): Promise<void> {
  const stage = root.folder(STAGE), now = Date.now();
  for (const name of await stage.folders()) {
    if (now - Number(name) > STAGED_MS) await stage.removeFolder(name);
  }
}
