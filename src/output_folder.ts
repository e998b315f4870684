/**
 * The folder that a run writes to: whether it may be used, and what is removed from it.
 *
 * @module
 */
import {
  type Checkpoint,
  checkpointName,
  listCheckpoints,
  removeCheckpointsAfter,
} from "./checkpoint/resume.ts";
import type { JobConfig } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { LOG_FILES } from "./logs/run_logs.ts";
import { TENSORBOARD_FOLDER } from "./logs/tensorboard.ts";
import { METRICS_FILE, RUN_FILE, TRAINING_CONFIG_FILE } from "./run_files.ts";
import type { Folder } from "./storage.ts";

/**
 * Takes the folder for this run alone, until the closer returned is called.
 *
 * @throws {ConfigError} If another run writes to it. @throws {StorageDeniedError} If it cannot be written to.
 */
export async function holdOutput(output: Folder, job: JobConfig): Promise<() => Promise<void>> {
  if (!output.lock) return () => Promise.resolve();
  const lock = await output.lock();
  if (lock) return () => lock.release();
  throw new ConfigError([{
    path: "output_dir",
    message: `another run is writing to "${job.outputDir}": wait for its end, or choose another ` +
      "output_model_name or output_dir",
  }]);
}

/**
 * Refuses a folder that holds files, unless overwriting was asked for. With `resume: auto`, what a run left that did not
 * come to its first checkpoint is no hindrance.
 *
 * @throws {ConfigError}
 */
export async function refuseUsed(output: Folder, job: JobConfig): Promise<void> {
  const found = await output.list();
  for (const folder of [adapterFolder(output, job), output.folder("merged")]) {
    found.push(...await folder.list());
  }
  if (job.resume === "auto" && found.every(isCourse)) return;
  const checkpoints = (await listCheckpoints(output)).map(checkpointName);
  found.push(...checkpoints);
  if (found.length === 0 || job.overwrite) return;
  throw new ConfigError([{
    path: "output_dir",
    message: `"${job.outputDir}" holds files already (${found.slice(0, 3).join(", ")}): ` +
      "choose another output_model_name or output_dir, or set overwrite" +
      (checkpoints.length > 0 && job.resume === null ? ", or resume to go on from a checkpoint" : ""),
  }]);
}

/** Whether a file of a run's folder, by its path there, tells of the run and is no part of what it made. */
export function isCourse(path: string): boolean {
  return path === RUN_FILE || path === TRAINING_CONFIG_FILE || LOG_FILES.includes(path) ||
    path.startsWith(`${TENSORBOARD_FOLDER}/`);
}

/**
 * Refuses a merged model over its base, and, unless nothing will be written, a folder that cannot be written to.
 *
 * @throws {ConfigError} @throws {StorageDeniedError}
 */
export async function checkPlaces(output: Folder, job: JobConfig, dryRun: boolean): Promise<void> {
  if (samePath(job.baseModel, job.mergedUri)) {
    const message = `"${job.baseModel}" is where the merged model goes: choose another output_dir`;
    throw new ConfigError([{ path: "base_model", message }]);
  }
  if (dryRun) return;
  const probe = await output.create(RUN_FILE);
  await probe.abort();
}

/** Removes what would be taken for a part of this run: of the one before, or written after the checkpoint. */
export async function clearOutput(output: Folder, checkpoint: Checkpoint | null): Promise<void> {
  await output.removeLeftovers();
  await removeCheckpointsAfter(output, checkpoint?.record.step ?? -1);
  if (!checkpoint) await output.remove(METRICS_FILE);
}

/** Where the adapter goes. PEFT keeps those that have a name in folders beside each other. */
export function adapterFolder(output: Folder, { adapterName }: Pick<JobConfig, "adapterName">): Folder {
  const folder = output.folder("adapter");
  return adapterName === "default" ? folder : folder.folder(adapterName);
}

/** Removes what an earlier run left, so that no file of it is taken for one of this run. */
export async function emptyFolder(folder: Folder): Promise<void> {
  await folder.removeLeftovers();
  for (const name of await folder.list()) await folder.remove(name);
}

/** Whether two paths are spelled alike, but for `.` steps and slashes at the end. */
export function samePath(a: string, b: string): boolean {
  const plain = (path: string) =>
    path.split("/").filter((part, i) => part !== "." && (part !== "" || i === 0)).join("/");
  return plain(a) === plain(b);
}
