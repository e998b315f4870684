/**
 * Data that is kept on the device, so that a run can go on with it after a reload.
 *
 * @module
 */
import type { Folder } from "../../src/storage.ts";
import type { KeptData } from "../protocol/data.ts";
import type { RunEntry } from "../protocol/runs.ts";
import { blobOf, copyTo, piecesOf } from "../storage/stored_copy.ts";

/** Apart, so that rows to train on and to evaluate on may come by one name. */
export const DATA_FOLDERS = { train: "device/data", eval: "device/evaluation" } as const;

export class DataShelf {
  readonly #files: (uri: string) => Folder;
  readonly #runs: () => Promise<readonly Pick<RunEntry, "config">[]>;

  /** @param runs Those that are kept, whose data stays as it is. */
  constructor(files: (uri: string) => Folder, runs: () => Promise<readonly Pick<RunEntry, "config">[]>) {
    this.#files = files;
    this.#runs = runs;
  }

  /**
   * Keeps content under its name, or the next free one where a run has other content of that name; answered with its path.
   *
   * @throws {StorageDeniedError} If there is no room for it.
   */
  async keep({ name, content, purpose }: KeptData): Promise<string> {
    const uri = DATA_FOLDERS[purpose], folder = this.#files(uri);
    const used = new Set((await this.#runs()).flatMap(({ config }) => dataPaths(config)));
    const [, stem, ending] = /^(.+?)(\.[^.]*)?$/s.exec(name)!;
    for (let copy = 1;; copy++) {
      const kept = copy === 1 ? name : `${stem}-${copy}${ending ?? ""}`, path = `${uri}/${kept}`;
      if (used.has(path) && await folder.exists(kept)) {
        if (!await isSame(await blobOf(folder, kept), content)) continue;
      } else await copyTo(folder, kept, content);
      return path;
    }
  }
}

/** Files that a run reads rows from. */
function dataPaths({ training_data_path, eval_data_path }: RunEntry["config"]): string[] {
  return [training_data_path, eval_data_path].flat().filter((path) => typeof path === "string");
}

async function isSame(one: Blob, other: Blob): Promise<boolean> {
  if (one.size !== other.size) return false;
  const others = piecesOf(other);
  for await (const piece of piecesOf(one)) {
    const { value } = await others.next();
    if (piece.some((byte, i) => byte !== value![i])) return false;
  }
  return true;
}
