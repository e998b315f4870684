/**
 * The command `lowrank`: names the concrete parts and hands them to the verbs in `cli/`.
 *
 * @module
 */

import { denoIo } from "./cli/deno_io.ts";
import { exampleJob } from "./cli/example_job.ts";
import type { CliIo } from "./cli/io.ts";
import { withBuckets } from "./cli/bucket_folders.ts";
import { finderIn, showingFinder } from "./cli/model_source.ts";
import { loadPlugins } from "./cli/load_plugins.ts";
import { openFolder } from "./cli/open_folder.ts";
import { openTracker } from "./cli/open_tracker.ts";
import { partsOf } from "./cli/plugin_parts.ts";
import { withoutRequestSpans } from "./cli/open_telemetry.ts";
import { quietMesa } from "./cli/quiet_mesa.ts";
import { rankVariables } from "./cli/ranks.ts";
import { runCommand } from "./cli/run.ts";
import { WorkerJob } from "./cli/worker_job.ts";

const createJob: CliIo["createJob"] = (config, options) => {
  for (const [name, value] of Object.entries(rankVariables(io.env, navigator.hardwareConcurrency))) {
    Deno.env.set(name, value); // before the worker asks for an adapter
  }
  return Promise.resolve(new WorkerJob(config, options));
};

/** Loads the engine only when it is needed, so that help and validation answer at once. */
const openModel: CliIo["openModel"] = async ({ gpu: adapter, requireGpu, ...request }) => {
  const { LanguageModel } = await import("./language_model.ts");
  const { open } = partsOf(request.plugins);
  return await LanguageModel.open({
    ...request,
    files: await withBuckets(openFolder, { folders: [request.adapter] }, open),
    findModel: showingFinder(io.stderr, finderIn(open)),
    gpu: { adapter, requireHardware: requireGpu },
  });
};

const io = denoIo();

if (import.meta.main) {
  quietMesa();
  const example = exampleJob(new URL("../", import.meta.url).pathname, Deno.cwd());
  const outside: CliIo = { ...io, example, createJob, openModel, openTracker, loadPlugins };
  Deno.exit(await withoutRequestSpans(io.env, () => runCommand(Deno.args, outside)));
}
