/**
 * A small run on disk, always with `resume: auto`, that may kill its own process in the midst of a file operation:
 *
 *     deno run ... doomed_run.ts FOLDER            runs to the end, prints how many operations it took, as JSON
 *     deno run ... doomed_run.ts FOLDER write 12   dies when half of the 12th write is done
 *
 * `sync` and `rename` die before the operation, `renamed` after it. FOLDER holds `base` and `train.jsonl`.
 *
 * @module
 */
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import { LocalFolder } from "../../src/storage/local.ts";

/** File operations in which a process can be killed. */
export const OPERATIONS = ["write", "sync", "rename", "renamed"] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Options of the run; reports, evaluations and checkpoints do not coincide. */
export const OPTIONS = {
  base_model: "base",
  output_model_name: "ember",
  training_data_path: "train.jsonl",
  save: "adapter",
  lora_r: 4,
  max_steps: 12,
  batch_size: 2,
  gradient_accumulation_steps: 2,
  eval_batch_size: 2,
  eval_steps: 4,
  logging_steps: 3,
  learning_rate: 0.01,
  save_steps: 2,
  resume: "auto",
};

/** Counts the operations of `LocalFolder` and dies at the one that was chosen. */
function doom(fatal: Operation | null, fatalCount: number): Record<Operation, number> {
  const counts = { write: 0, sync: 0, rename: 0, renamed: 0 };
  const isFatal = (operation: Operation) => ++counts[operation] === fatalCount && operation === fatal;
  const die = (): never => {
    Deno.kill(Deno.pid, "SIGKILL");
    throw new Error("unreachable");
  };
  const { write, sync } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.write = async function (bytes) {
    if (!isFatal("write")) return await write.call(this, bytes);
    await write.call(this, bytes.subarray(0, bytes.length >> 1));
    return die();
  };
  Deno.FsFile.prototype.sync = async function () {
    if (isFatal("sync")) die();
    await sync.call(this);
  };
  const { rename } = Deno;
  Deno.rename = async (from, to) => {
    if (isFatal("rename")) die();
    await rename(from, to);
    if (isFatal("renamed")) die();
  };
  return counts;
}

if (import.meta.main) {
  const [folder, operation, count] = Deno.args;
  Deno.chdir(folder!);
  const counts = doom((operation as Operation | undefined) ?? null, Number(count));
  const files = (uri: string) => new LocalFolder(uri);
  const job = createFineTuneJob(parseFineTuneJobConfig(OPTIONS), { files });
  const events = await Array.fromAsync(job.run());
  const resumedAfter = events.find((event) => event.type === "resumed")?.step ?? 0;
  console.log(JSON.stringify({ counts, resumedAfter }));
  Deno.exit(0);
}
