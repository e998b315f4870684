/**
 * Where the page's paths lead: to the browser's own storage, to picked files, to models of the server that trains, or to
 * what lies beside the page.
 *
 * @module
 */
import type { Folder } from "../../src/storage.ts";
import type { ServerAccess } from "../lowrank_server.ts";
import { SERVER_MODELS, serverModelFolder } from "../server_model.ts";
import { HttpFolder } from "../storage/http_folder.ts";
import { PickedFolder } from "../storage/picked_folder.ts";

/** Runs, and what the user keeps on the device. */
const STORED = ["runs", "device"];
/** Files that the user picked in this visit. */
const PICKED = "picked";

export class PageFiles {
  /** The page's server; null where it has none. */
  server: ServerAccess | null = null;
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
    if (first === SERVER_MODELS && this.server && second !== "") {
      const model = serverModelFolder(decodeURIComponent(second), this.server);
      return rest.length === 0 ? model : model.folder(rest.join("/"));
    }
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
