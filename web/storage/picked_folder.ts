/**
 * Files that the user picked from this machine, as a folder that is read only. They stay where they are.
 *
 * @module
 */
import { StorageNotFoundError } from "../../src/errors.ts";
import { assertFileName, type FileReader } from "../../src/storage.ts";
import { ReadOnlyFolder } from "../../src/storage/read_only.ts";
import { OpfsReader } from "./opfs_files.ts";

export class PickedFolder extends ReadOnlyFolder {
  readonly #picked: ReadonlyMap<string, File> | null;

  /** @param files By their paths below this folder; null for what was picked in an earlier visit. */
  constructor(readonly uri: string, files: ReadonlyMap<string, File> | null) {
    super();
    this.#picked = files;
  }

  get #files(): ReadonlyMap<string, File> {
    if (this.#picked) return this.#picked;
    throw new StorageNotFoundError(
      `Cannot read "${this.uri}" as its files were picked in an earlier visit: pick them again as the model, ` +
        "then go on; a copy that is kept on this device stays",
    );
  }

  // deno-lint-ignore require-await -- async so that what is no longer there rejects
  async list(): Promise<string[]> {
    return [...this.#files.keys()].filter((path) => !path.includes("/")).sort();
  }

  // deno-lint-ignore require-await -- async so that what is no longer there rejects
  async folders(): Promise<string[]> {
    const outer = [...this.#files.keys()].flatMap((path) => /^([^/]+)\//.exec(path)?.[1] ?? []);
    return [...new Set(outer)].sort();
  }

  // deno-lint-ignore require-await -- async so that a bad name rejects
  async exists(name: string): Promise<boolean> {
    assertFileName(this, name);
    return this.#files.has(name);
  }

  // deno-lint-ignore require-await -- async so that a bad name rejects
  async open(name: string): Promise<FileReader> {
    assertFileName(this, name);
    const file = this.#files.get(name);
    if (file) return new OpfsReader(`${this.uri}/${name}`, file);
    throw new StorageNotFoundError(
      `Cannot open "${this.uri}/${name}" as it was not picked in this visit: pick the files again`,
    );
  }

  folder(name: string): PickedFolder {
    for (const part of name.split("/")) assertFileName(this, part);
    if (!this.#picked) return new PickedFolder(`${this.uri}/${name}`, null);
    const below = [...this.#files].filter(([path]) => path.startsWith(`${name}/`));
    const files = new Map(below.map(([path, file]) => [path.slice(name.length + 1), file]));
    return new PickedFolder(`${this.uri}/${name}`, files);
  }
}
