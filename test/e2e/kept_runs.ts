/**
 * Runs of earlier visits, as they lie in the page's file system: made up, since training takes longer than looking.
 *
 * @module
 */
import type { Page } from "playwright-core";
import { parseFineTuneJobConfig, toWire } from "../../src/config.ts";
import { writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import defaults from "../../web/defaults.json" with { type: "json" };
import { putFolder } from "./page_files.ts";

/** What a run is to be like. */
export interface KeptRun {
  readonly name: string;
  /** Beside those of the page's own job. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly steps: number;
  /** Of which it had done only so many when it was stopped; default all. */
  readonly done?: number;
  /** Loss at the end. */
  readonly loss: number;
  readonly startedAt: string;
  /** Why it failed; default it did not. */
  readonly error?: string;
}

/** A loss that falls and trembles, the same each time. */
const lossAt = (step: number, end: number) =>
  end + (4 - end) * Math.exp(-step / 40) + 0.3 * Math.exp(-step / 80) * Math.sin(step * 12.9898);

/** Puts runs into the page's file system; a reload shows them. */
export async function putRuns(page: Page, runs: readonly KeptRun[]): Promise<void> {
  for (const run of runs) await putFolder(page, `runs/${run.name}`, await folderOf(run));
}

async function folderOf({ name, options = {}, steps, done = steps, loss, startedAt, error }: KeptRun) {
  const folder = new MemoryFolder(name);
  const config = toWire(parseFineTuneJobConfig({ ...defaults, ...options, output_model_name: name }));
  const isWhole = done === steps && error === undefined;
  const status = error !== undefined ? "failed" : isWhole ? "completed" : "cancelled";
  const rows = Array.from({ length: done + 1 }, (_, step) => ({
    step,
    epoch: step / steps,
    loss: step === 0 ? null : lossAt(step, loss),
    eval_loss: step % 20 === 0 || step === steps ? lossAt(step, loss * 1.05) : null,
    token_accuracy: null,
    eval_token_accuracy: null,
    learning_rate: step === 0 ? null : 0.002 * (1 - step / (steps + 1)),
    grad_norm: step === 0 ? null : 0.5 + Math.abs(Math.sin(step)),
    tokens: step === 0 ? null : step * 512,
    tokens_per_second: step === 0 ? null : 1500 + 50 * Math.sin(step / 3),
  }));
  await writeFile(folder, "metrics.jsonl", rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const samples = (answer: string) => [{ prompt: "Signal lamp.", expected: "L-A-M-P", answer }];
  const rounds = [[0, "lampna"], [Math.ceil(done / 2), "L-A-M"], [done, "L-A-M-P"]] as const;
  await writeFile(
    folder,
    "samples.json",
    JSON.stringify({
      rounds: rounds.map(([step, answer]) => ({ step, samples: samples(answer), exact_match: null })),
    }),
  );
  const record = {
    version: 1,
    status,
    config,
    started_at: startedAt,
    finished_at: startedAt,
    steps: done,
    total_steps: steps,
    base_model: { path: config.base_model },
    eval_loss_before: rows[0]!.eval_loss,
    eval_loss_after: isWhole ? rows.at(-1)!.eval_loss : null,
    error: error ?? null,
  };
  await writeFile(folder, "run.json", JSON.stringify(record));
  const made = isWhole ? "adapter" : `checkpoint-${done}`;
  await writeFile(folder.folder(made), "adapter_config.json", "{}");
  await writeFile(folder.folder(made), "adapter_model.safetensors", new Uint8Array(4096 * 8));
  if (!isWhole) await writeFile(folder.folder(made), "resume.json", "{}");
  return folder;
}
