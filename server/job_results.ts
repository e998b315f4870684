/**
 * What a run left for its owner: metrics as OpenAI's table, and the archives.
 *
 * @module
 */
import { checkpointName } from "../src/checkpoint/resume.ts";
import { parseResume, RESUME_FILE } from "../src/checkpoint/resume_record.ts";
import { METRICS_FILE, type MetricsRow, RUN_FILE } from "../src/run_files.ts";
import { LocalFolder } from "../src/storage/local.ts";
import { readText } from "../src/storage.ts";
import { archiveBytes } from "./file_content.ts";
import type { FilePlace } from "./file_store.ts";

/** A file for clients, with its place relative to a run's folder. */
export interface RunResult {
  readonly filename: string;
  readonly bytes: number;
  readonly kind: FilePlace["kind"];
  /** Within the run's folder. */
  readonly path: string;
}

export const STEP_METRICS_FILE = "step_metrics.csv";

/** Lines of metrics.jsonl as far as they are whole; none where there is no such file. */
export async function metricsOf(folder: string): Promise<MetricsRow[]> {
  const run = new LocalFolder(folder);
  if (!await run.exists(METRICS_FILE)) return [];
  return (await readText(run, METRICS_FILE)).split("\n").flatMap((line): MetricsRow[] => {
    try {
      return [JSON.parse(line)];
    } catch {
      return []; // the end of one that is being written
    }
  });
}

/**
 * The line of metrics.jsonl that a checkpoint holds, as it waited for an evaluation then; none where there is none, or no such
 * checkpoint.
 */
export async function waitingMetrics(folder: string, step: number): Promise<MetricsRow[]> {
  try {
    const checkpoint = new LocalFolder(`${folder}/${checkpointName(step)}`);
    const { record } = await parseResume(await readText(checkpoint, RESUME_FILE), checkpoint.uri);
    return record.metrics.waiting ? [record.metrics.waiting as unknown as MetricsRow] : [];
  } catch {
    return []; // whoever resumes from it says what is wrong with it
  }
}

/** Whether a run came to its end, whoever heard of it. */
export async function isCompleted(folder: string): Promise<boolean> {
  try {
    return JSON.parse(await Deno.readTextFile(`${folder}/${RUN_FILE}`)).status === "completed";
  } catch {
    return false;
  }
}

/** Writes the table, and names everything that clients may read of a completed run. */
export async function collectResults(folder: string): Promise<RunResult[]> {
  await Deno.writeTextFile(`${folder}/${STEP_METRICS_FILE}`, stepMetrics(await metricsOf(folder)));
  const results: RunResult[] = [];
  for (const path of [STEP_METRICS_FILE, METRICS_FILE]) {
    const stat = await Deno.stat(`${folder}/${path}`).catch(() => null);
    if (stat) results.push({ filename: path, bytes: stat.size, kind: "file", path });
  }
  for (const path of ["adapter", "merged"]) {
    const stat = await Deno.stat(`${folder}/${path}`).catch(() => null);
    if (!stat) continue;
    results.push({
      filename: `${path}.zip`,
      bytes: await archiveBytes(`${folder}/${path}`),
      kind: "archive",
      path,
    });
  }
  return results;
}

/** OpenAI's columns; cells are empty where a step had no such number. */
export function stepMetrics(rows: readonly MetricsRow[]): string {
  const header = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy";
  const lines = rows.map(({ step, loss, token_accuracy, eval_loss, eval_token_accuracy }) =>
    [step, loss, token_accuracy, eval_loss, eval_token_accuracy].map((value) => value ?? "").join(",")
  );
  return `${[header, ...lines].join("\n")}\n`;
}
