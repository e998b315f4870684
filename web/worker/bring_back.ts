/**
 * Runs that come from the page's server into the browser: back, or jobs that were begun there.
 *
 * @module
 */
import { checkpointName } from "../../src/checkpoint/resume.ts";
import { parseFineTuneJobConfig, toWire } from "../../src/config.ts";
import { SAMPLES_FILE } from "../../src/logs/samples_file.ts";
import {
  METRICS_FILE,
  type MetricsRow,
  RUN_FILE,
  type RunRecord,
  writeRunRecord,
} from "../../src/run_files.ts";
import { type Folder, readText } from "../../src/storage.ts";
import { type LowrankServer, ServerError, type ServerJob } from "../lowrank_server.ts";
import type { Wire } from "../protocol/job.ts";
import type { JobToTake } from "../protocol/runs.ts";
import { freeRunName } from "../run_name.ts";
import { isTunedOnServer, serverModelPath } from "../server_model.ts";
import { copyStreamTo } from "../storage/stored_copy.ts";
import { DATA_FOLDERS } from "./data_shelf.ts";
import { modelId, nameOf, serverOf } from "./hand_over.ts";
import { handedOverTo, noteHandedOver } from "./handed_over.ts";
import type { ModelShelf } from "./model_shelf.ts";
import type { PageFiles } from "./page_files.ts";

/** How long a job may take to save and end. */
const PATIENCE_MS = 300_000;
const LOOK_MS = 500;

/** Holds a folder of data for each job that was taken. */
const DATA_FOLDER = DATA_FOLDERS.train;

/**
 * Takes a run back from the server, with all that it has become there: at its last checkpoint, or completed.
 *
 * What was kept here stays until the newer is whole; the server's job is given up after that.
 */
export async function bringBack(name: string, files: PageFiles): Promise<null> {
  const server = serverOf(files), run = files.at(`runs/${name}`), id = await handedOverTo(run);
  if (id === null) throw new RangeError(`Cannot bring "${name}" back as it was not handed to a server`);
  const job = await restingJob(server, id);
  await noteProgress(run, job, await takeResults(server, job, run));
  if (job.status === "paused") await server.move(id, "cancel");
  await noteHandedOver(run, null);
  return null;
}

/**
 * Takes a job of the server as a run of the page: its options, its data, its last checkpoint and, if it is over, its adapter.
 * One that is not over is given up on the server when all is here.
 *
 * @returns The run's name.
 * @throws {RangeError} For a job without a checkpoint, and for one that goes on from a fine-tuned model.
 */
export async function takeJob(
  { id, models }: JobToTake,
  files: PageFiles,
  shelf: ModelShelf,
): Promise<string> {
  const server = serverOf(files), found = await server.job(id);
  if (isTunedOnServer(serverModelPath(found.model))) {
    throw new RangeError(
      `Cannot take "${id}" as it goes on from a fine-tuned model, which the server alone has`,
    );
  }
  const job = await restingJob(server, id), runs = files.at("runs");
  const wanted = (job.user_provided_suffix ?? id).replace(/[^\w.-]+/g, "-");
  const name = freeRunName(wanted, await runs.folders()), data = `${DATA_FOLDER}/${id}`;
  try {
    const { options, record } = await server.run(id);
    const own = models.find((path) => modelId(path) === job.model) ?? serverModelPath(job.model);
    const config = toWire(parseFineTuneJobConfig({
      ...options,
      base_model: await shelf.path(own),
      training_data_path: await takeData(server, job.training_file, files, data),
      eval_data_path: job.validation_file &&
        await takeData(server, job.validation_file, files, `${data}/eval`),
      output_model_name: name,
      job_id: `page-${crypto.randomUUID()}`,
    }));
    const last = await takeResults(server, job, runs.folder(name));
    if (record === null || (last < 0 && job.status !== "succeeded")) {
      throw new RangeError(`Cannot take "${id}" as it has no checkpoint: let it save one`);
    }
    await writeRunRecord(runs.folder(name), takenRecord(record, config, job, last));
  } catch (error) {
    await runs.removeFolder(name);
    await files.at(DATA_FOLDER).removeFolder(id);
    const wasGoing = job.status === "paused" && found.status !== "paused";
    if (wasGoing) await server.move(id, "resume").catch(() => {}); // the first error says more
    throw error;
  }
  if (job.status === "paused") await server.move(id, "cancel");
  return name;
}

/** Copies a file of the server's into a folder; gives its path there. */
async function takeData(
  server: LowrankServer,
  id: string,
  files: PageFiles,
  folder: string,
): Promise<string> {
  const { filename } = await server.file(id);
  await copyStreamTo(files.at(folder), filename, await server.fileContent(id));
  return `${folder}/${filename}`;
}

/** The server's record of a run as the page's own, which knows the page's paths. */
function takenRecord(record: RunRecord, config: Wire, { status }: ServerJob, checkpoint: number): RunRecord {
  const base_model = { ...record.base_model, path: String(config.base_model) };
  if (status === "succeeded") return { ...record, config, base_model };
  return {
    ...record,
    config,
    base_model,
    status: "paused",
    finished_at: null,
    error: null,
    steps: checkpoint,
  };
}

/** Copies what a job has made: what was measured and answered, its last checkpoint, its adapter. @returns Steps of that checkpoint; -1 for none. */
async function takeResults(server: LowrankServer, { id, status }: ServerJob, run: Folder): Promise<number> {
  const paths = (await server.runFiles(id)).map(({ path }) => path);
  // a longer metrics.jsonl does no harm beside an older checkpoint; the other way round steps would be missing
  for (const file of [METRICS_FILE, SAMPLES_FILE]) {
    if (paths.includes(file)) await copyStreamTo(run, file, await server.readRunFile(id, file));
  }
  const last = Math.max(-1, ...paths.map((path) => Number(/^checkpoint-(\d+)\//.exec(path)?.[1] ?? -1)));
  const folders = [
    ...(last < 0 ? [] : [checkpointName(last)]),
    ...(status === "succeeded" ? ["adapter"] : []),
  ];
  for (const folder of folders) {
    await takeFolder(server, id, run, folder, paths.filter((path) => path.startsWith(`${folder}/`)));
  }
  return last;
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
