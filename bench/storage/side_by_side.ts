/**
 * Files of a folder, and work on several of them at the same time, for libraries that move single files.
 *
 * @module
 */

/** As many files at once as Lowrank moves. */
const AT_ONCE = 4;

/** Paths of all files below a folder, from there. */
export function pathsBelow(folder: string, below = ""): string[] {
  return [...Deno.readDirSync(`${folder}/${below}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? pathsBelow(folder, `${below}${name}/`) : [below + name]
  );
}

/** Does the work on each, several at the same time. */
export async function sideBySide<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < all.length) await work(all[next++]!);
  }));
}

/** Makes the folder that a path of a file leads through. */
export function makeFolderOf(path: string): void {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
}
