/**
 * Runs that change places: from the page to its server, where they go on from their last checkpoint, and back.
 *
 * @module
 */
import { isGgufName } from "../src/checkpoint/gguf_model.ts";
import { checkpointName, listCheckpoints } from "../src/checkpoint/resume.ts";
import { CONFIG_FIELDS, parseFineTuneJobConfig, toWire } from "../src/config.ts";
import { ConfigError } from "../src/errors.ts";
import { SAMPLES_FILE } from "../src/logs/samples_file.ts";
import { METRICS_FILE, type MetricsRow, RUN_FILE, type RunRecord, writeRunRecord } from "../src/run_files.ts";
import { fileAt, type Folder, readText } from "../src/storage.ts";
import { handedOverTo, noteHandedOver } from "./handed_over.ts";
import { LowrankServer, ServerError, type ServerJob } from "./lowrank_server.ts";
import type { PageFiles } from "./page_files.ts";
import type { Wire } from "./protocol.ts";
import { serverModelId } from "./server_model.ts";
import { blobOf, copyStreamTo } from "./stored_copy.ts";

/** Options that the server sets by itself, or is told in other ways. */
const TOLD_APART: ReadonlySet<string> = new Set([
  ...["base_model", "training_data_path", "eval_data_path", "output_model_name", "output_dir", "seed"],
  ...["overwrite", "resume", "job_id", "tracker"],
  ...["gpu", "memory_limit_gb"], // of this browser's GPUs
]);

/** How long a job may take to save and end. */
const PATIENCE_MS = 300_000;
const LOOK_MS = 500;

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

/**
 * Takes a run back from the server, with all that it has become there: at its last checkpoint, or completed.
 *
 * What was kept here stays until the newer is whole; the server's job is given up after that.
 */
export async function bringBack(name: string, files: PageFiles): Promise<null> {
  const server = serverOf(files), run = files.at(`runs/${name}`), id = await handedOverTo(run);
  if (id === null) throw new RangeError(`Cannot bring "${name}" back as it was not handed to a server`);
  const job = await restingJob(server, id), paths = (await server.runFiles(id)).map(({ path }) => path);
  // a longer metrics.jsonl does no harm beside an older checkpoint; the other way round steps would be missing
  for (const file of [METRICS_FILE, SAMPLES_FILE]) {
    if (paths.includes(file)) await copyStreamTo(run, file, await server.readRunFile(id, file));
  }
  const last = Math.max(...paths.map((path) => Number(/^checkpoint-(\d+)\//.exec(path)?.[1] ?? -1)));
  const folders = [
    ...(last < 0 ? [] : [checkpointName(last)]),
    ...(job.status === "succeeded" ? ["adapter"] : []),
  ];
  for (const folder of folders) {
    await takeFolder(server, id, run, folder, paths.filter((path) => path.startsWith(`${folder}/`)));
  }
  await noteProgress(run, job, last);
  if (job.status === "paused") await server.move(id, "cancel");
  await noteHandedOver(run, null);
  return null;
}

/** @throws {ServerError} Where the page has no server. */
function serverOf({ server }: PageFiles): LowrankServer {
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

const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

/** The name that the server has for a model: its own, or that of the folder or file elsewhere. */
function modelId(path: string): string {
  const own = serverModelId(path);
  if (own !== null) return own;
  const name = nameOf(path.replace(/\/+$/, ""));
  return isGgufName(name) ? name.slice(0, name.lastIndexOf(".")) : name;
}

async function dataOf(path: string, files: PageFiles): Promise<Blob> {
  const { folder, name } = fileAt(files.at, path);
  return await blobOf(folder, name);
}

/** Pauses a job that is not over, and waits until its process has saved. */
async function restingJob(server: LowrankServer, id: string): Promise<ServerJob> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const job = await server.job(id);
    if (["queued", "validating_files", "running"].includes(job.status)) {
      // it may end in this very moment, which the next look tells
      await server.move(id, "pause").catch(unless(400, 409));
    } else if (await server.runFiles(id).then(() => true, unless(409))) return job;
    if (performance.now() > end) throw new ServerError(0, "The job does not end: look at the server's log.");
    await new Promise((wake) => setTimeout(wake, LOOK_MS));
  }
}

const unless = (...statuses: readonly number[]) => (error: unknown) => {
  if (error instanceof ServerError && statuses.includes(error.status)) return undefined;
  throw error;
};

async function takeFolder(
  server: LowrankServer,
  id: string,
  run: Folder,
  name: string,
  paths: readonly string[],
): Promise<void> {
  const writer = await run.createFolder(name);
  try {
    for (const path of paths) {
      await copyStreamTo(writer.folder, nameOf(path), await server.readRunFile(id, path));
    }
    await writer.commit();
  } finally {
    await writer.abort();
  }
}

/** The page's own record of the run, which knows the page's paths, with what the server has added. */
async function noteProgress(run: Folder, { status }: ServerJob, checkpoint: number): Promise<void> {
  const record: RunRecord = JSON.parse(await readText(run, RUN_FILE));
  const rows: MetricsRow[] = (await readText(run, METRICS_FILE)).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  const evaluations = rows.flatMap(({ eval_loss }) => eval_loss ?? []);
  const isOver = status === "succeeded";
  const now: RunRecord = {
    ...record,
    steps: isOver ? rows.at(-1)!.step : Math.max(checkpoint, record.steps),
    ...(isOver
      ? {
        status: "completed",
        finished_at: new Date().toISOString(),
        eval_loss_before: evaluations[0] ?? record.eval_loss_before,
        eval_loss_after: evaluations.at(-1) ?? null,
      }
      : {}),
  };
  await writeRunRecord(run, now);
}
