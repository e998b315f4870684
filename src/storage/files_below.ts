/**
 * The files of a folder and those below it.
 *
 * @module
 */
import type { Folder } from "../storage.ts";
import type { FileToMove } from "../storage_manager/move_all.ts";

/** A file of a local folder, by its path from there. */
export interface FoundFile extends FileToMove {
  readonly folder: Folder;
  /** Its name within `folder`. */
  readonly file: string;
}

/** Files whose sizes are asked for at the same time. */
const LOOKED_AT_ONCE = 16;

/** Every file of a folder and those below it, in the order of their paths. */
export async function filesBelow(folder: Folder, path = ""): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  const files = await folder.list();
  for (let at = 0; at < files.length; at += LOOKED_AT_ONCE) {
    const some = files.slice(at, at + LOOKED_AT_ONCE);
    const sizes = await Promise.all(some.map((file) => sizeOf(folder, file)));
    found.push(...some.map((file, i) => ({ name: path + file, size: sizes[i]!, folder, file })));
  }
  for (const name of await folder.folders()) {
    found.push(...await filesBelow(folder.folder(name), `${path}${name}/`));
  }
  return found;
}

async function sizeOf(folder: Folder, file: string): Promise<number> {
  const reader = await folder.open(file);
  await reader.close();
  return reader.size;
}
