/**
 * Another name for a run of the page's store: the browser moves no folders, so that it is copied, and then removed.
 *
 * @module
 */
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { RUN_FILE, type RunRecord, TRAINING_CONFIG_FILE } from "../../src/run_files.ts";
import { type Folder, type FolderWriter, readText, writeFile } from "../../src/storage.ts";
import { filesBelow } from "../../src/storage/files_below.ts";
import { blobOf, copyTo } from "../storage/stored_copy.ts";

/**
 * Renames a run. A crash leaves it under its old name, or under both.
 *
 * @param runs Holds the runs.
 * @throws {RangeError} If the name cannot be one or is taken, or the run goes on elsewhere.
 * @throws {StorageNotFoundError} If there is no such run. @throws {StorageDeniedError} If there is no room for it.
 */
export async function renameRun(runs: Folder, from: string, to: string): Promise<void> {
  if (to === from) return;
  checkName(to);
  if ((await runs.folders()).includes(to)) {
    throw new RangeError(`Cannot call the run "${to}" as another one is called so: choose another name`);
  }
  const run = runs.folder(from), lock = await run.lock?.();
  if (lock === null) throw new RangeError(`Cannot rename "${from}" while it is in use: pause it first`);
  let writer: FolderWriter | null = null;
  try {
    const record: RunRecord = JSON.parse(await readText(run, RUN_FILE));
    writer = await runs.createFolder(to);
    for (const { folder, file, name } of await filesBelow(run)) {
      await copyTo(folderOf(writer.folder, name), file, await blobOf(folder, file));
    }
    const called = { output_model_name: to, output_dir: `runs/${to}` };
    const renamed = { ...record, config: { ...record.config, ...called } };
    await writeFile(writer.folder, RUN_FILE, `${JSON.stringify(renamed, null, 2)}\n`);
    if (await run.exists(TRAINING_CONFIG_FILE)) {
      const config = { ...JSON.parse(await readText(run, TRAINING_CONFIG_FILE)), ...called };
      await writeFile(writer.folder, TRAINING_CONFIG_FILE, `${JSON.stringify(config, null, 2)}\n`);
    }
    await writer.commit();
  } finally {
    await writer?.abort();
    await lock?.release();
  }
  await runs.removeFolder(from);
}

/** @throws {RangeError} With what a name may be. */
function checkName(name: string): void {
  try {
    parseFineTuneJobConfig({ base_model: "model", training_data_path: "data", output_model_name: name });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const [issue] = error.issues;
    throw new RangeError(`Cannot call a run so: its name ${issue!.message}`);
  }
}

/** The folder of a file by its path. */
function folderOf(root: Folder, path: string): Folder {
  return path.split("/").slice(0, -1).reduce((folder, name) => folder.folder(name), root);
}
