/**
 * `lowrank resume RUN`: goes on with a run from its last checkpoint, with the options that it was started with.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import { readRun } from "../explain/read_run.ts";
import type { Folder } from "../storage.ts";
import { parseFlags, TRAIN_FLAGS } from "./flags.ts";
import { resumeHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { openFolder } from "./open_folder.ts";
import { resolveWithPlugins } from "./sources.ts";
import { jobFlagsOf, runResolved } from "./train.ts";
import { oneWord } from "./verb_flags.ts";

/**
 * Trains on. Flags of `train` overrule what the run recorded; variables of the environment do not.
 *
 * @param files Opens a folder by its uri; default those of this machine.
 * @throws {ConfigError} For wrong usage.
 * @throws {StorageNotFoundError} If RUN is not the folder of a run. @throws {ModelFormatError} If run.json is damaged.
 * @throws What the job throws; `InterruptedError` after a signal.
 */
export async function resume(
  args: readonly string[],
  io: CliIo,
  files: (uri: string) => Folder = openFolder,
): Promise<void> {
  const flags = parseFlags(args, TRAIN_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(resumeHelp());
  if (flags.values.has("config")) {
    const message = "cannot be given: a run is resumed with the options that it recorded";
    throw new ConfigError([{ path: "--config", message }]);
  }
  const run = oneWord(flags, "RUN");
  const { record } = await readRun(files(run));
  const options = { ...record.config, output_dir: run, resume: "auto", overwrite: false };
  const file = { path: `${run}/run.json`, options };
  const resolved = await resolveWithPlugins({ flags: jobFlagsOf(flags), env: {}, file }, io.loadPlugins);
  await runResolved(resolved, flags, io);
}
