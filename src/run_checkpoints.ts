/**
 * Checkpoints of a running job: which one to go on from, when to write the next, and which ones to keep.
 *
 * @module
 */
import { writeAdapter } from "./checkpoint/adapter.ts";
import { modelFingerprint, rowsFingerprint } from "./checkpoint/fingerprint.ts";
import {
  type Checkpoint,
  latestCheckpoint,
  type NamedValues,
  openCheckpoint,
  rotateCheckpoints,
  writeCheckpoint,
} from "./checkpoint/resume.ts";
import type { RunIdentity, TrainerState } from "./checkpoint/resume_record.ts";
import { type FineTuneJobConfig, type JobConfig, toWire } from "./config.ts";
import { ConfigError } from "./errors.ts";
import type { TrainingEvent } from "./job.ts";
import type { RunLogs } from "./logs/run_logs.ts";
import type { Dataset } from "./data_manager.ts";
import type { BaseModel } from "./model_manager.ts";
import { CONFIG_FILE } from "./models/config.ts";
import { samePath } from "./output_folder.ts";
import type { PreparedRun } from "./prepared_run.ts";
import { redactedData } from "./redact.ts";
import { trainedAdapter } from "./run_output.ts";
import type { Progress } from "./run_progress.ts";
import { type Folder, readText } from "./storage.ts";
import { type Checkpoints, isDue, type StepCount } from "./trainer.ts";
import { VERSION } from "./version.ts";

const MS_PER_MINUTE = 60_000;

/** What a run's checkpoints are made from. */
export interface RunCheckpointsOptions {
  readonly output: Folder;
  readonly config: FineTuneJobConfig;
  readonly run: PreparedRun;
  readonly progress: Progress;
  readonly logs: RunLogs;
  /** Which checkpoint somebody else is reading, and needs; default none. */
  readonly mirror?: { readonly step: number | null } | null;
}

/** Writes checkpoints every `save_steps` steps and every `save_minutes` minutes, and removes old ones. */
export class RunCheckpoints implements Checkpoints {
  readonly #options: RunCheckpointsOptions;
  #savedAt = performance.now();

  constructor(options: RunCheckpointsOptions) {
    this.#options = options;
  }

  due(step: number, isLast: boolean, isBest: boolean): boolean {
    const { config: { job: { saveSteps, saveMinutes }, training }, run } = this.#options;
    if (isBest && training.loadBestModelAtEnd) return true;
    const minutes = (performance.now() - this.#savedAt) / MS_PER_MINUTE;
    return isLast || isDue(step, saveSteps, run.steps.totalSteps) ||
      (saveMinutes > 0 && minutes >= saveMinutes);
  }

  async save(state: TrainerState): Promise<TrainingEvent> {
    const { output, config, run, progress, logs, mirror } = this.#options;
    // a checkpoint must not be on the medium before the lines that it counts
    await logs.sync();
    const record = { ...state, ...run.identity, progress: progress.state, metrics: logs.state };
    const adapter = await trainedAdapter(run);
    const moments = { m: await this.#moments("m"), v: await this.#moments("v") };
    const folder = await writeCheckpoint(output, record, moments, async (into) => {
      await writeAdapter(into, adapter);
      await logs.writeState(into, state, run.steps.totalSteps);
    });
    const best = config.training.loadBestModelAtEnd ? state.judgement.best : null;
    await rotateCheckpoints(output, config.job.saveTotalLimit, [best?.step, mirror?.step]);
    this.#savedAt = performance.now();
    return { type: "checkpointed", step: state.step, path: folder.uri };
  }

  /** Moments of every parameter; none of those that the optimizer does not keep. */
  async #moments(which: "m" | "v"): Promise<Map<string, NamedValues>> {
    const { pool } = this.#options.run.model;
    if (!pool.moments.includes(which)) return new Map();
    const values = await pool.read(which);
    return new Map(
      pool.parameters.map(({ name, value: { shape } }) => [name, { shape, data: values.get(name)! }]),
    );
  }
}

/**
 * The checkpoint that `resume` asks for, null for a fresh start; with what is to be told about others.
 *
 * @throws {ConfigError} If a path is none of a checkpoint in the output folder.
 * @throws {StorageNotFoundError} @throws {ModelFormatError} If the checkpoint of a path is missing or damaged.
 * @throws {UnsupportedModelError} If a newer version wrote it.
 */
export async function chosenCheckpoint(
  output: Folder,
  { resume, outputDir }: JobConfig,
): Promise<{ checkpoint: Checkpoint | null; warnings: string[] }> {
  if (resume === null) return { checkpoint: null, warnings: [] };
  if (resume === "auto") {
    const { checkpoint, damaged } = await latestCheckpoint(output);
    const instead = checkpoint ? `step ${checkpoint.record.step} is taken` : "the run starts anew";
    return { checkpoint, warnings: damaged.map((problem) => `${problem}; ${instead}`) };
  }
  const path = resume.replace(/(?<=.)\/+$/, "");
  const slash = path.lastIndexOf("/");
  const [parent, name] = [slash < 0 ? "." : path.slice(0, slash) || "/", path.slice(slash + 1)];
  if (!samePath(parent, outputDir) || !/^checkpoint-\d+$/.test(name)) {
    throw new ConfigError([{
      path: "resume",
      message:
        `must be auto or ${outputDir}/checkpoint-N, a checkpoint in output_dir: current value is "${resume}"`,
    }]);
  }
  return { checkpoint: await openCheckpoint(output.folder(name)), warnings: [] };
}

/**
 * What decides the bits of a run's adapter, but for the GPU; without secrets, since it is written into checkpoints.
 *
 * @param isCompared Whether somebody holds it against another one; else the base is not read for it.
 */
export async function runIdentity(
  config: FineTuneJobConfig,
  base: BaseModel,
  dataset: Dataset,
  { totalSteps }: StepCount,
  isCompared: boolean,
): Promise<Omit<RunIdentity, "gpu">> {
  return {
    config: redactedData(toWire(config)),
    total_steps: totalSteps,
    data: { train: dataset.report.sha256, eval: dataset.evalReport?.sha256 ?? null },
    rows: await rowsFingerprint(dataset.train, dataset.eval),
    base_model: isCompared
      ? await modelFingerprint(await readText(base.folder, CONFIG_FILE), base.weights)
      : "",
    lowrank: VERSION,
  };
}

/** What does not forbid to go on, but keeps the run from being the same bit for bit. */
export function resumeWarnings(then: RunIdentity, now: RunIdentity): string[] {
  const changed = (what: string, before: string, found: string) =>
    before === found ? [] : [
      `the checkpoint was written ${what} ${before}, this is ${found}: the run goes on, but not bit for bit`,
    ];
  return [...changed("on", then.gpu, now.gpu), ...changed("by version", then.lowrank, now.lowrank)];
}
