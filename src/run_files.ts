/**
 * The files that tell about a run: `metrics.jsonl`, one object a logged step, and `run.json`, what was run on what and
 * how it ended.
 *
 * @module
 */
import type { MetricsState } from "./checkpoint/resume_record.ts";
import { ModelFormatError } from "./errors.ts";
import type { JobStatus, MergeBase, MergedLosses, TrainingEvent } from "./job.ts";
import { type Folder, writeFile } from "./storage.ts";
import type { RecordedKernels } from "./tuning/recorded.ts";

export const METRICS_FILE = "metrics.jsonl";
export const RUN_FILE = "run.json";
export const TRAINING_CONFIG_FILE = "training_config.json";

/** Version of run.json and metrics.jsonl. A reader refuses a newer one. */
export const RUN_FORMAT_VERSION = 1;

/** One line of metrics.jsonl; null where the step had no such number. */
export interface MetricsRow {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number | null;
  readonly eval_loss: number | null;
  /** Token accuracy: shares of labelled tokens that got the largest logit, 0..1. */
  readonly token_accuracy: number | null;
  readonly eval_token_accuracy: number | null;
  readonly learning_rate: number | null;
  readonly grad_norm: number | null;
  readonly tokens: number | null;
  readonly tokens_per_second: number | null;
}

/** Writes metrics.jsonl. A step's line waits for the evaluation that may follow it. */
export class MetricsLog {
  readonly #folder: Folder;
  #bytes = 0;
  #row: MetricsRow | null = null;

  /** For a file that is not there yet. */
  constructor(folder: Folder) {
    this.#folder = folder;
  }

  /**
   * Goes on where a checkpoint was written: lines after it are cut off.
   *
   * @throws {ModelFormatError} If the file has lost lines that the checkpoint counts.
   */
  static async resume(folder: Folder, { bytes, waiting }: MetricsState): Promise<MetricsLog> {
    const log = new MetricsLog(folder);
    log.#bytes = bytes;
    log.#row = waiting as MetricsRow | null;
    if (bytes === 0) await folder.remove(METRICS_FILE);
    else {
      await folder.truncate(METRICS_FILE, bytes).catch((cause) => {
        throw new ModelFormatError(
          `Cannot resume: "${folder.uri}/${METRICS_FILE}" lacks lines of the ${bytes} bytes that the checkpoint ` +
            "counts: bring the file back, or start the run anew",
          { cause },
        );
      });
    }
    return log;
  }

  /** What a checkpoint needs to know of the file. */
  get state(): MetricsState {
    return { bytes: this.#bytes, waiting: this.#row && { ...this.#row } };
  }

  /** Waits until the lines written so far are on the medium. */
  async sync(): Promise<void> {
    if (this.#bytes > 0) await this.#folder.sync(METRICS_FILE);
  }

  /** Takes step and evaluation events; ignores others. */
  async add(event: TrainingEvent): Promise<void> {
    if (event.type === "step") {
      await this.flush();
      this.#row = {
        step: event.step,
        epoch: event.epoch,
        loss: event.loss,
        eval_loss: null,
        token_accuracy: event.tokenAccuracy ?? null,
        eval_token_accuracy: null,
        learning_rate: event.learningRate,
        grad_norm: event.gradNorm,
        tokens: event.tokens,
        tokens_per_second: event.tokensPerSecond,
      };
    } else if (event.type === "evaluated") {
      if (this.#row?.step !== event.step) await this.flush();
      const found = { eval_loss: event.evalLoss, eval_token_accuracy: event.evalTokenAccuracy ?? null };
      this.#row = { ...(this.#row ?? emptyRow(event.step, event.epoch)), ...found };
      await this.flush();
    }
  }

  /** Writes the line that waits. */
  async flush(): Promise<void> {
    if (!this.#row) return;
    const line = new TextEncoder().encode(`${JSON.stringify(this.#row)}\n`);
    this.#row = null;
    await this.#folder.append(METRICS_FILE, line);
    this.#bytes += line.length;
  }
}

function emptyRow(step: number, epoch: number): MetricsRow {
  const none = { loss: null, eval_loss: null, token_accuracy: null, eval_token_accuracy: null };
  return {
    step,
    epoch,
    ...none,
    learning_rate: null,
    grad_norm: null,
    tokens: null,
    tokens_per_second: null,
  };
}

/** What run.json holds. */
export interface RunRecord {
  readonly status: JobStatus;
  /** All options, as on the wire. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly started_at: string;
  readonly finished_at: string | null;
  readonly versions: Readonly<Record<string, string>>;
  readonly adapter: { readonly name: string; readonly software: boolean };
  /** Tiles of the products and why they were chosen; absent in records of earlier builds. */
  readonly kernels?: RecordedKernels;
  readonly base_model: {
    readonly path: string;
    readonly model_type: string;
    readonly parameters: number;
    readonly trainable_parameters: number;
    /** Format that the linear maps were trained in, such as `nf4_double` or `Q4_1`; null for plain values. */
    readonly quantization: string | null;
  };
  readonly data: readonly {
    readonly file: string;
    readonly sha256: string;
    readonly rows: number;
    readonly kept: number;
    readonly cut: number;
    readonly dropped: number;
    readonly tokens: number;
    readonly trained_tokens: number;
    /** Lines that were left out as they cannot be used, and the first of them; absent where none were. */
    readonly skipped?: number;
    readonly skipped_lines?: readonly {
      readonly file: string;
      readonly line: number;
      readonly message: string;
    }[];
  }[];
  /** The largest micro-batch: rows, padded tokens of each, and blocks whose activations backward computes again. */
  readonly micro_batch: {
    readonly rows: number;
    readonly length: number;
    readonly recomputed_blocks: number;
  };
  readonly total_steps: number;
  readonly steps: number;
  readonly eval_loss_before: number | null;
  readonly eval_loss_after: number | null;
  /** Shares of held-out prompts answered exactly, 0..1; null where that was not measured. */
  readonly exact_match_before: number | null;
  readonly exact_match_after: number | null;
  /** Losses of adapter and merged models on the same rows, nats; null where nothing was merged or quantised. */
  readonly merged: {
    readonly merge_base: MergeBase;
    readonly rows: number;
    readonly tokens: number;
    readonly loss: MergedLosses;
  } | null;
  readonly error: string | null;
  /** Where a run that is trained and saved is copied to, and whether all of it is there; null or absent for nowhere. */
  readonly upload?: { readonly uri: string; readonly done: boolean } | null;
  /** Devices that were lost and replaced meanwhile; absent in records of earlier builds. */
  readonly device_recoveries?: readonly DeviceRecovery[];
}

/** A device that was lost in the middle of a run. */
export interface DeviceRecovery {
  readonly at: string;
  /** What the device reported. */
  readonly message: string;
  /** Steps of the checkpoint that the run went on from; 0 where it began anew. */
  readonly step: number;
}

/** Replaces run.json, whole or not at all. */
export async function writeRunRecord(folder: Folder, record: RunRecord): Promise<void> {
  await writeFile(folder, RUN_FILE, runRecordText(record));
}

/** What run.json holds for a record. */
export function runRecordText(record: RunRecord): string {
  return `${JSON.stringify({ version: RUN_FORMAT_VERSION, ...record }, null, 2)}\n`;
}

/**
 * Writes training_config.json, all options of a run beside what it makes. `lowrank train --config` reads it.
 *
 * @param config On the wire names, without secrets.
 * @param versions Of the programs that ran it.
 */
export async function writeTrainingConfig(
  folder: Folder,
  config: Readonly<Record<string, unknown>>,
  versions: Readonly<Record<string, string>>,
): Promise<void> {
  const text = `${JSON.stringify({ $versions: versions, ...config }, null, 2)}\n`;
  await writeFile(folder, TRAINING_CONFIG_FILE, text);
}
