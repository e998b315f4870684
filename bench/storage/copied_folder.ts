/**
 * A folder copied by the system, each file put onto the medium, as Lowrank does: what takes the place of a library where
 * the bucket is a folder.
 *
 * @module
 */
import { makeFolderOf, pathsBelow, sideBySide } from "./side_by_side.ts";
import type { Mover } from "./transfer_child.ts";

/** @param bucket Path of the folder that stands for a bucket. */
export function copyMover(bucket: string): Mover {
  const copy = (from: string, to: string) =>
    sideBySide(pathsBelow(from), async (path) => {
      makeFolderOf(`${to}/${path}`);
      await Deno.copyFile(`${from}/${path}`, `${to}/${path}`);
      using copied = await Deno.open(`${to}/${path}`, { write: true });
      await copied.sync();
    });
  return {
    upload: (folder) => copy(folder, `${bucket}/folder`),
    download: (folder) => copy(`${bucket}/folder`, folder),
  };
}
