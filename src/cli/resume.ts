/**
 * `lowrank resume RUN`: goes on with a run from its last checkpoint, with the options that it was started with. RUN is its
 * folder on this machine, or the place in a bucket that its results go to.
 *
 * @module
 */
import { ConfigError, StorageNotFoundError } from "../errors.ts";
import { readRunRecord } from "../explain/read_run.ts";
import { MIRROR_FOLDER } from "../fine_tune_job/checkpoint_mirror.ts";
import { RUN_FILE } from "../run_files.ts";
import type { Folder } from "../storage.ts";
import type { OpenStorage } from "../storage_manager.ts";
import { isRemote, schemeOf } from "../storage_uri.ts";
import { parseFlags, TRAIN_FLAGS } from "./flags.ts";
import { resumeHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { openFolder } from "./open_folder.ts";
import { partsOf } from "./plugin_parts.ts";
import { loadNamedPlugins, resolveWithPlugins, type Sources } from "./sources.ts";
import { jobFlagsOf, runResolved } from "./train.ts";
import { oneWord } from "./verb_flags.ts";

/** What tests replace. */
export interface ResumeOutside {
  /** Opens a folder by its uri; default those of this machine. */
  readonly files?: (uri: string) => Folder;
  /** Opens a bucket; default with the credentials of the environment. */
  readonly open?: OpenStorage;
}

/**
 * Trains on. Flags of `train` overrule what the run recorded; variables of the environment do not.
 *
 * @throws {ConfigError} For wrong usage, or a bucket's run that is complete.
 * @throws {StorageNotFoundError} If RUN is not the folder of a run. @throws {ModelFormatError} If run.json is damaged.
 * @throws What the job throws; `InterruptedError` after a signal.
 */
export async function resume(
  args: readonly string[],
  io: CliIo,
  { files = openFolder, open }: ResumeOutside = {},
): Promise<void> {
  const flags = parseFlags(args, TRAIN_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(resumeHelp());
  if (flags.values.has("config")) {
    const message = "cannot be given: a run is resumed with the options that it recorded";
    throw new ConfigError([{ path: "--config", message }]);
  }
  const run = oneWord(flags, "RUN");
  const given = { flags: jobFlagsOf(flags), env: {} };
  const file = isRemote(run)
    ? await runOfBucket(run, open ?? partsOf(await loadNamedPlugins(given, io.loadPlugins)).open)
    : await runOfFolder(run, files);
  await runResolved(await resolveWithPlugins({ ...given, file }, io.loadPlugins), flags, io);
}

type RecordedOptions = NonNullable<Sources["file"]>;

async function runOfFolder(run: string, files: (uri: string) => Folder): Promise<RecordedOptions> {
  const { config } = await readRunRecord(files(run));
  const options = { ...config, output_dir: run, resume: "auto", overwrite: false };
  return { path: `${run}/${RUN_FILE}`, options };
}

/** The options of the run whose checkpoints were copied to a bucket; the job itself brings them here. */
async function runOfBucket(run: string, open: OpenStorage): Promise<RecordedOptions> {
  if (schemeOf(run) === "hf") {
    const message = "is on the Hub, and checkpoints are copied to gs://, s3:// and az:// only";
    throw new ConfigError([{ path: `"${run}"`, message }]);
  }
  const { storage, name } = await open(run);
  const folder = storage.folder(name),
    copies = storage.folder(`${name === "" ? "" : `${name}/`}${MIRROR_FOLDER}`);
  if (await copies.exists(RUN_FILE)) {
    const { config } = await readRunRecord(copies);
    const options = { ...config, output_uri: run, resume: "auto", overwrite: false };
    return { path: `${run}/${MIRROR_FOLDER}/${RUN_FILE}`, options };
  }
  if (await folder.exists(RUN_FILE)) {
    throw new ConfigError([{
      path: `"${run}"`,
      message:
        "is a run that is complete, and the copies of its checkpoints are removed: to train its adapter on, " +
        `run lowrank train with --adapter-path ${run}/adapter`,
    }]);
  }
  throw new StorageNotFoundError(
    `Cannot find a run at "${run}": it has neither ${MIRROR_FOLDER}/${RUN_FILE}, which is there from a run's first ` +
      `checkpoint on, nor ${RUN_FILE}; name the place that the run's results go to, as its output_uri does`,
  );
}
