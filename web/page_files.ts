/**
 * Where the page's paths lead: to the browser's own storage, to picked files, or to the page's server.
 *
 * @module
 */
import type { Folder } from "../src/storage.ts";
import { HttpFolder } from "./http_folder.ts";
import { PickedFolder } from "./picked_folder.ts";

/** Runs, and what the user keeps on the device. */
const STORED = ["runs", "device"];
/** Files that the user picked in this visit. */
const PICKED = "picked";

export class PageFiles {
  readonly #root: Folder;
  readonly #picked = new Map<string, ReadonlyMap<string, File>>();

  /** @param root Of the store. @param base The page's address. */
  constructor(root: Folder, readonly base: string) {
    this.#root = root;
  }

  /** Finds a folder by its path. */
  readonly at = (uri: string): Folder => {
    const path = uri.split("/").filter((part) => part !== "" && part !== ".");
    const [first = "", second = "", ...rest] = path;
    if (STORED.includes(first)) return this.#root.folder(path.join("/"));
    if (first !== PICKED) return new HttpFolder(new URL(uri, this.base), path.join("/") || ".");
    const folder = new PickedFolder(`${PICKED}/${second}`, this.#picked.get(second) ?? null);
    return rest.length === 0 ? folder : folder.folder(rest.join("/"));
  };

  /** Takes files by their paths below a folder; gives the folder's path. */
  pick(name: string, files: ReadonlyMap<string, File>): string {
    this.#picked.set(name, files);
    return `${PICKED}/${name}`;
  }
}
