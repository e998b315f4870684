/**
 * A run that is trained and saved, of which only the copy in a bucket is missing or not whole.
 *
 * @module
 */
import { type FineTuneJobConfig, parseFineTuneJobConfig, toWire } from "../config.ts";
import type { TrainingEvent } from "../job.ts";
import { adapterFolder } from "../output_folder.ts";
import { RUN_FILE, type RunRecord, writeRunRecord } from "../run_files.ts";
import { type Folder, readText } from "../storage.ts";
import type { Destination } from "./destination.ts";

/** Options that leave what is saved as it is. */
const FREE_OPTIONS: ReadonlySet<string> = new Set([
  ...[
    "output_dir",
    "overwrite",
    "resume",
    "gpu",
    "require_gpu",
    "max_device_recoveries",
    "memory_limit_gb",
    "retune",
  ],
  ...["gcs_bucket", "gcs_prefix", "output_uri", "upload_checkpoints", "job_id", "tracker", "tracker_path"],
  ...["firestore_project", "firestore_collection"],
]);

/**
 * The record of the run in a folder that `resume: auto` needs not train again; null if there is something to train.
 *
 * @param config Must be what the run was trained with.
 */
export async function savedRun(output: Folder, config: FineTuneJobConfig): Promise<RunRecord | null> {
  const { job } = config;
  if (job.resume !== "auto" || job.uploadUri === null || !await output.exists(RUN_FILE)) return null;
  const record = readRecord(await readText(output, RUN_FILE));
  if (record === null || !(record.upload || record.status === "completed")) return null;
  if (!sameResults(record.config, config)) return null;
  const folders = [
    ...(job.save === "merged" ? [] : [adapterFolder(output, job)]),
    ...(job.save === "adapter" ? [] : [output.folder("merged")]),
  ];
  for (const folder of folders) if ((await folder.list()).length === 0) return null;
  return record;
}

/** Uploads a run that is saved, and records how that went. */
export async function* uploadSaved(
  saved: RunRecord,
  destination: Destination,
  { job: { overwrite } }: FineTuneJobConfig,
  output: Folder,
  signal: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const { uri } = destination;
  const record: RunRecord = { ...saved, status: "completed", error: null, upload: { uri, done: true } };
  try {
    yield { type: "phase", message: "the run is trained and saved already: only its upload is left" };
    yield* destination.upload(output, record, overwrite, signal);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const status = signal.aborted ? "cancelled" : "failed";
    await writeRunRecord(output, { ...saved, status, error: message, upload: { uri, done: false } });
    throw error;
  }
  await writeRunRecord(output, record);
  const { steps, eval_loss_before: evalLossBefore, eval_loss_after: evalLossAfter } = record;
  const seconds = (Date.parse(record.finished_at ?? record.started_at) - Date.parse(record.started_at)) /
    1000;
  yield { type: "finished", status: "completed", steps, seconds, evalLossBefore, evalLossAfter };
}

function readRecord(text: string): RunRecord | null {
  try {
    return JSON.parse(text) as RunRecord;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function sameResults(recorded: RunRecord["config"], config: FineTuneJobConfig): boolean {
  let then: Record<string, unknown>;
  try {
    then = toWire(parseFineTuneJobConfig(recorded));
  } catch {
    return false; // of another version
  }
  const now = toWire(config);
  return Object.keys(now).every((name) =>
    FREE_OPTIONS.has(name) || JSON.stringify(then[name]) === JSON.stringify(now[name])
  );
}
