/**
 * Reading what a run left about itself: run.json and metrics.jsonl.
 *
 * @module
 */
import { ModelFormatError, StorageNotFoundError } from "../errors.ts";
import { METRICS_FILE, type MetricsRow, RUN_FILE, RUN_FORMAT_VERSION, type RunRecord } from "../run_files.ts";
import { type ReadableFolder, readText } from "../storage.ts";

/** A run as its files tell it. */
export interface RecordedRun {
  /** The folder, as it was named. */
  readonly uri: string;
  readonly record: RunRecord;
  /** Empty where the run did not come to its first report. */
  readonly metrics: readonly MetricsRow[];
}

/** Fields of run.json without which a run cannot be explained. */
const NEEDED = ["config", "adapter", "base_model", "micro_batch", "versions"] as const;

/**
 * Reads a run's folder.
 *
 * @throws {StorageNotFoundError} If it is not the folder of a run.
 * @throws {ModelFormatError} If run.json is damaged, of an earlier make or a newer version, or a line of metrics.jsonl is
 * no JSON.
 */
export async function readRun(folder: ReadableFolder): Promise<RecordedRun> {
  const record = await readRunRecord(folder);
  const hasMetrics = await folder.exists(METRICS_FILE);
  const lines = hasMetrics ? (await readText(folder, METRICS_FILE)).split("\n") : [];
  const metrics = lines.flatMap((line, i): MetricsRow[] => {
    // a run that goes on may be in the middle of its last line
    if (line === "" || (i === lines.length - 1 && record.status === "running")) return [];
    return [parsed(line, `${folder.uri}/${METRICS_FILE} line ${i + 1}`) as unknown as MetricsRow];
  });
  return { uri: folder.uri, record, metrics };
}

/**
 * Reads run.json alone.
 *
 * @throws {StorageNotFoundError} If it is not the folder of a run.
 * @throws {ModelFormatError} If it is damaged, of an earlier make or a newer version.
 */
export async function readRunRecord(folder: ReadableFolder): Promise<RunRecord> {
  if (!await folder.exists(RUN_FILE)) {
    const files = await folder.list();
    const found = files.length === 0 ? "is empty or does not exist" : `holds ${files.slice(0, 5).join(", ")}`;
    throw new StorageNotFoundError(
      `Cannot find a run at "${folder.uri}": the folder ${found}, and a run's folder holds ${RUN_FILE}; ` +
        "name the output_dir of a training run",
    );
  }
  return checkedRecord(await readText(folder, RUN_FILE), `${folder.uri}/${RUN_FILE}`);
}

function checkedRecord(text: string, where: string): RunRecord {
  const record = parsed(text, where);
  const { version } = record;
  if (typeof version !== "number" || version > RUN_FORMAT_VERSION) {
    throw new ModelFormatError(
      `Cannot read "${where}": its version is ${JSON.stringify(version)} and this program knows up to ` +
        `${RUN_FORMAT_VERSION}; use the program that made it`,
    );
  }
  const missing = NEEDED.filter((name) => !isObject(record[name]));
  if (missing.length > 0) {
    throw new ModelFormatError(
      `Cannot explain "${where}": it lacks ${missing.join(", ")}, as runs of earlier builds do; train again`,
    );
  }
  return record as unknown as RunRecord;
}

function parsed(text: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ModelFormatError(`Cannot read "${where}" as JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (isObject(value)) return value;
  throw new ModelFormatError(
    `Cannot read "${where}": it holds ${JSON.stringify(value)} in place of an object`,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
