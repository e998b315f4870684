/**
 * The parts that a job chooses from: Lowrank's own and those of plugins.
 *
 * @module
 */
import type { FineTuneJobConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { type Registries, withPlugins } from "../plugin.ts";
import type { OpenStorage } from "../storage_manager.ts";
import { schemeOf } from "../storage_uri.ts";
import type { Trainer } from "../training_session.ts";
import type { FineTuneJobDeps } from "./deps.ts";
import { GPU_TRAINER, GpuTrainer } from "./gpu_trainer.ts";

/** What a job chose from the parts that there are. */
export interface JobParts extends Pick<Registries, "dataFormats" | "modelFamilies"> {
  readonly trainer: Trainer;
  readonly storage: OpenStorage | undefined;
}

/**
 * @throws {ConfigError} If a plugin is none, the configuration names plugins that were not loaded or a trainer that nobody
 * brings, or the trainer cannot honour an option.
 */
export function jobParts(config: FineTuneJobConfig, deps: FineTuneJobDeps): JobParts {
  const { plugins = [] } = deps, { job } = config;
  if (job.plugins.length > plugins.length) {
    const message =
      "are files that the command loads: load them and hand them in as `plugins`, beside `files`";
    throw new ConfigError([{ path: "plugins", message }]);
  }
  const { dataFormats, modelFamilies, trainers, storage } = withPlugins(plugins, {
    trainers: [new GpuTrainer(deps)],
  });
  const trainer = trainers.find(({ name }) => name === job.trainer);
  if (!trainer) {
    const known = trainers.map(({ name }) => name).join(", ");
    const message = `must be one of ${known}: current value is "${job.trainer}"`;
    throw new ConfigError([{ path: "trainer", message }]);
  }
  if (deps.ranks && deps.ranks.size > 1 && trainer.name !== GPU_TRAINER) {
    const message = `"${trainer.name}" does not share a run among ranks: start one process`;
    throw new ConfigError([{ path: "trainer", message }]);
  }
  const refusals = trainer.refusals?.(config) ?? [];
  if (refusals.length > 0) throw new ConfigError(refusals);
  const ofPlugin = (uri: string) => storage.find(({ schemes }) => schemes.includes(schemeOf(uri)));
  const open: OpenStorage | undefined = storage.length === 0 ? deps.storage : async (uri) => {
    const found = ofPlugin(uri);
    if (found) return await found.open(uri);
    if (deps.storage) return await deps.storage(uri);
    throw new ConfigError([{
      path: `"${uri}"`,
      message: "is in a bucket, and this job was given no storage",
    }]);
  };
  return { dataFormats, modelFamilies, trainer, storage: open };
}
