/**
 * The command `lowrank`: names the concrete parts and hands them to the verbs in `cli/`.
 *
 * @module
 */

import { denoIo } from "./cli/deno_io.ts";
import type { CliIo } from "./cli/io.ts";
import { quietMesa } from "./cli/quiet_mesa.ts";
import { runCommand } from "./cli/run.ts";
import { ConfigError } from "./errors.ts";
import type { Folder } from "./storage.ts";
import { LocalFolder } from "./storage/local.ts";

function openFolder(uri: string): Folder {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//.exec(uri)?.[1];
  if (scheme) {
    throw new ConfigError([{
      path: `"${uri}"`,
      message: `is on ${scheme}://, but this version reads local folders only`,
    }]);
  }
  return new LocalFolder(uri);
}

/** Loads the training engine only when a job starts, so that help and validation answer at once. */
const createJob: CliIo["createJob"] = async (config, { dryRun, signal }) => {
  const { createFineTuneJob } = await import("./fine_tune_job.ts");
  const { available } = Deno.systemMemoryInfo();
  return createFineTuneJob(config, { files: openFolder, dryRun, signal, availableMemoryBytes: available });
};

const openModel: CliIo["openModel"] = async ({ requireGpu, ...request }) => {
  const { LanguageModel } = await import("./language_model.ts");
  return await LanguageModel.open({ ...request, files: openFolder, gpu: { requireHardware: requireGpu } });
};

if (import.meta.main) {
  quietMesa();
  Deno.exit(await runCommand(Deno.args, { ...denoIo(), createJob, openModel }));
}
