/**
 * A disk in memory on which whole jobs run, with a tiny model and a few rows.
 *
 * @module
 */
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { createFineTuneJob, type FineTuneJob, type FineTuneJobDeps } from "../../src/fine_tune_job.ts";
import type { TrainingEvent } from "../../src/job.ts";
import type { Folder } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { device } from "./device.ts";
import { type TinyModelOptions, writeTinyModel } from "./tiny_model.ts";

/** Ten rows of different lengths, one `text` each. */
export const ROWS = Array.from(
  { length: 10 },
  (_, i) => `${JSON.stringify({ text: `row ${i}${"ab".repeat(i % 4)}` })}\n`,
)
  .join("");

/** A base model in `base`, rows in `train.jsonl`. */
export async function jobDisk(model: TinyModelOptions = {}, rows: string = ROWS): Promise<MemoryFolder> {
  const root = new MemoryFolder("disk", { "train.jsonl": rows });
  await writeTinyModel(root.folder("base"), model);
  return root;
}

/** A folder of the disk by its path. */
export function folderAt(root: Folder, uri: string): Folder {
  const path = uri.split("/").filter((part) => part !== "" && part !== ".").join("/");
  return path === "" ? root : root.folder(path);
}

/** A job on the disk that saves to `runs/ember`. */
export function jobOn(
  root: Folder,
  wire: Readonly<Record<string, unknown>>,
  deps: Partial<FineTuneJobDeps> = {},
): FineTuneJob {
  const config = parseFineTuneJobConfig({
    base_model: "base",
    output_model_name: "ember",
    training_data_path: "train.jsonl",
    lora_r: 4,
    save: "adapter",
    ...wire,
  });
  const files = (uri: string) => folderAt(root, uri);
  return createFineTuneJob(config, { files, ...(device ? { device } : {}), ...deps });
}

/** Runs a job to its end. */
export async function runOn(root: Folder, wire: Readonly<Record<string, unknown>>): Promise<TrainingEvent[]> {
  return await Array.fromAsync(jobOn(root, wire).run());
}
