/**
 * Runs that go from the page to its server, where they go on from their last checkpoint.
 *
 * @module
 */
import { isGgufName } from "../../src/checkpoint/gguf_model.ts";
import { checkpointName, listCheckpoints } from "../../src/checkpoint/resume.ts";
import { CONFIG_FIELDS, parseFineTuneJobConfig, toWire } from "../../src/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { SAMPLES_FILE } from "../../src/logs/samples_file.ts";
import { METRICS_FILE, RUN_FILE, type RunRecord } from "../../src/run_files.ts";
import { fileAt, readText } from "../../src/storage.ts";
import { LowrankServer, ServerError, type ServerJob } from "../lowrank_server.ts";
import type { Wire } from "../protocol/job.ts";
import { serverModelId } from "../server_model.ts";
import { blobOf } from "../storage/stored_copy.ts";
import { noteHandedOver } from "./handed_over.ts";
import type { PageFiles } from "./page_files.ts";

/** Options that the server sets by itself, or is told in other ways. */
const TOLD_APART: ReadonlySet<string> = new Set([
  ...["base_model", "training_data_path", "eval_data_path", "output_model_name", "output_dir", "seed"],
  ...["overwrite", "resume", "job_id", "tracker"],
  ...["gpu", "memory_limit_gb"], // of this browser's GPUs
]);

/** Starts a job on the server. @returns Its id there. @throws {ConfigError} @throws {ServerError} */
export async function startOnServer(wire: Wire, files: PageFiles): Promise<string> {
  return (await createJob(serverOf(files), wire, files, false)).id;
}

/**
 * Has the server go on with a run of the page. The page keeps what it has.
 *
 * @returns The job's id there. @throws {ServerError} And the server's job is cancelled.
 */
export async function handOver(name: string, files: PageFiles): Promise<string> {
  const server = serverOf(files), run = files.at(`runs/${name}`);
  const record: RunRecord = JSON.parse(await readText(run, RUN_FILE)),
    last = (await listCheckpoints(run)).at(-1);
  if (last === undefined) {
    throw new RangeError(`Cannot hand "${name}" over as it has no checkpoint: let it save one`);
  }
  const { id } = await createJob(server, record.config, files, true);
  try {
    const checkpoint = checkpointName(last);
    for (const file of await run.folder(checkpoint).list()) {
      await server.writeRunFile(id, `${checkpoint}/${file}`, await blobOf(run.folder(checkpoint), file));
    }
    for (const file of [METRICS_FILE, SAMPLES_FILE]) {
      if (await run.exists(file)) await server.writeRunFile(id, file, await blobOf(run, file));
    }
    await noteHandedOver(run, id);
    await server.move(id, "resume");
    return id;
  } catch (error) {
    await noteHandedOver(run, null);
    await server.move(id, "cancel").catch(() => {}); // the first error says more
    throw error;
  }
}

/** @throws {ServerError} Where the page has no server. */
export function serverOf({ server }: PageFiles): LowrankServer {
  if (server) return new LowrankServer(server);
  throw new ServerError(0, "This page came from no server that trains: lowrank serve has one.");
}

async function createJob(
  server: LowrankServer,
  wire: Wire,
  files: PageFiles,
  paused: boolean,
): Promise<ServerJob> {
  const config = parseFineTuneJobConfig(wire), { job } = config, { onBadLine } = config.training;
  const upload = async (path: string) =>
    await server.upload(nameOf(path), await dataOf(path, files), onBadLine);
  const data = [job.trainingDataPath].flat();
  const [held] = [job.evalDataPath ?? []].flat();
  if (data.length !== 1) {
    const message = "must name one file, which is all that the server takes";
    throw new ConfigError([{ path: "training_data_path", message }]);
  }
  return await server.create({
    model: modelId(job.baseModel),
    training_file: await upload(data[0]!),
    validation_file: held === undefined ? null : await upload(held),
    suffix: job.outputModelName.replace(/[^A-Za-z0-9 ._-]/g, "-").slice(0, 64),
    seed: config.training.seed,
    paused,
    options: optionsOf(toWire(config)),
  });
}

/** Options that do not stand at their defaults. */
function optionsOf(all: Wire): Record<string, unknown> {
  const given = CONFIG_FIELDS.filter(({ wireName, default: standard }) =>
    !TOLD_APART.has(wireName) && JSON.stringify(all[wireName]) !== JSON.stringify(standard)
  );
  return Object.fromEntries(given.map(({ wireName }) => [wireName, all[wireName]]));
}

/** The last part of a path. */
export const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

/** The name that the server has for a model: its own, or that of the folder or file elsewhere. */
export function modelId(path: string): string {
  const own = serverModelId(path);
  if (own !== null) return own;
  const name = nameOf(path.replace(/\/+$/, ""));
  return isGgufName(name) ? name.slice(0, name.lastIndexOf(".")) : name;
}

async function dataOf(path: string, files: PageFiles): Promise<Blob> {
  const { folder, name } = fileAt(files.at, path);
  return await blobOf(folder, name);
}
