/**
 * A process that uploads one file with notes of unfinished uploads:
 *
 *     deno run -A test/storage/upload_child.ts URI FOLDER
 *
 * The file is `big` in FOLDER and in the bucket, notes go to `notes` in FOLDER.
 *
 * @module
 */
import { LocalFolder } from "../../src/storage/local.ts";
import { openStorage } from "../../src/storage/open.ts";

const SELF = decodeURIComponent(new URL(import.meta.url).pathname);
const CONFIG = decodeURIComponent(new URL("../../deno.json", import.meta.url).pathname);

/** Starts the process. @param env Where the store is and who asks. */
export function uploadInChild(
  uri: string,
  folder: string,
  env: Readonly<Record<string, string>>,
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--config", CONFIG, "--no-check", "--no-prompt", "--allow-all", SELF, uri, folder],
    env: { ...env },
  }).spawn();
}

if (import.meta.main) {
  const [uri, path] = Deno.args as [string, string];
  const folder = new LocalFolder(path), { storage } = await openStorage(uri);
  await storage.uploadFile(folder, "big", "big", { sessions: folder.folder("notes") });
}
