/**
 * Whole jobs of a few steps on a disk in memory, and what they tell and leave.
 *
 * @module
 */
import { type FineTuneJobConfig, parseFineTuneJobConfig } from "../../src/config.ts";
import { createFineTuneJob, type FineTuneJob, type FineTuneJobDeps } from "../../src/fine_tune_job.ts";
import type { RunSummary, TrainingEvent } from "../../src/job.ts";
import { type Folder, readText } from "../../src/storage.ts";
import type { MemoryFolder } from "../../src/storage/memory.ts";
import { device } from "./device.ts";
import { folderAt } from "./job_disk.ts";

/** Options by wire name. */
export type Wire = Readonly<Record<string, unknown>>;

/** The first words of ten rows. */
export const TEXTS = Array.from({ length: 10 }, (_, i) => ({ text: `row ${i}${"ab".repeat(i % 4)}` }));

/** The same as answers to one question. */
export const CHATS = TEXTS.map(({ text }) => ({
  messages: [{ role: "user", content: "?" }, { role: "assistant", content: text }],
}));

/** Values as lines of JSON. */
export const jsonl = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** A job of three steps that saves both adapter and merged model to `runs/ember`. */
export function jobOf(
  root: MemoryFolder,
  wire: Wire,
  deps: Partial<FineTuneJobDeps> = {},
): { config: FineTuneJobConfig; job: FineTuneJob } {
  const config = parseFineTuneJobConfig({
    base_model: "base",
    output_model_name: "ember",
    training_data_path: "train.jsonl",
    lora_r: 4,
    max_steps: 3,
    learning_rate: 1e-3,
    ...wire,
  });
  const files = (uri: string) => folderAt(root, uri);
  return { config, job: createFineTuneJob(config, { files, ...(device ? { device } : {}), ...deps }) };
}

/** Runs such a job to its end. */
export async function run(
  root: MemoryFolder,
  wire: Wire = {},
  deps: Partial<FineTuneJobDeps> = {},
): Promise<TrainingEvent[]> {
  return await Array.fromAsync(jobOf(root, wire, deps).job.run());
}

/** What every run that came to train leaves beside its models. */
export const RUN_FILES = [
  "metrics.jsonl",
  "report.html",
  "run.json",
  "trainer_state.json",
  "training_config.json",
];

export const ADAPTER_FILES = [
  "adapter/README.md",
  "adapter/adapter_config.json",
  "adapter/adapter_model.safetensors",
];

export const MERGED_FILES = [
  "merged/README.md",
  "merged/config.json",
  "merged/model.safetensors",
  "merged/tokenizer.json",
  "merged/tokenizer_config.json",
];

/** Every file of a run's folders, by path. */
export async function written(root: MemoryFolder, folder = "runs/ember"): Promise<string[]> {
  const below = await Promise.all(["", "/adapter", "/merged"].map(async (name) => {
    const files = await root.folder(folder + name).list();
    return files.map((file) => `${name}/${file}`.replace(/^\//, ""));
  }));
  return below.flat();
}

export async function readJson(folder: Folder, name: string) {
  return JSON.parse(await readText(folder, name));
}

/** The rows of metrics.jsonl. */
export async function readRows(folder: Folder) {
  return (await readText(folder, "metrics.jsonl")).trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** The events of one type. */
export function ofType<T extends TrainingEvent["type"]>(events: readonly TrainingEvent[], type: T) {
  return events.filter((event): event is Extract<TrainingEvent, { type: T }> => event.type === type);
}

export function summaryOf(events: readonly TrainingEvent[]): RunSummary {
  return ofType(events, "started")[0]!.summary;
}

export function evalLosses(events: readonly TrainingEvent[]): number[] {
  return ofType(events, "evaluated").map((event) => event.evalLoss);
}
