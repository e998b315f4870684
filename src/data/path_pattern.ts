/**
 * Patterns in the last part of a path: `*` stands for any letters, `?` for one.
 *
 * @module
 */
import { StorageNotFoundError } from "../errors.ts";
import type { ReadableFolder } from "../storage.ts";

/** A file and the folder that it is in. */
export interface FoundFile {
  readonly folder: ReadableFolder;
  readonly name: string;
}

/** Whether a name holds a sign of a pattern. */
export function isPattern(name: string): boolean {
  return /[*?]/.test(name);
}

/** The names that a pattern stands for, in their order. */
export function matching(names: readonly string[], pattern: string): string[] {
  const expression = new RegExp(
    `^${pattern.replace(/[\\^$.+()[\]{}|]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`,
  );
  return names.filter((name) => expression.test(name));
}

/**
 * The files that paths name, in their order; those of a pattern sorted.
 *
 * @param files Gives folder and last part of a path.
 * @throws {StorageNotFoundError} If a pattern stands for none.
 */
export async function* foundFiles(
  paths: readonly string[],
  files: (path: string) => FoundFile,
): AsyncGenerator<FoundFile> {
  for (const path of paths) {
    const { folder, name } = files(path);
    if (!isPattern(name) || await folder.exists(name)) {
      yield { folder, name };
      continue;
    }
    const names = matching(await folder.list(), name);
    if (names.length === 0) {
      throw new StorageNotFoundError(
        `Cannot find a file like "${name}" in "${folder.uri}": correct the pattern`,
      );
    }
    for (const found of names) yield { folder, name: found };
  }
}
