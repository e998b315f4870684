/**
 * Runs that the page's store holds, and what is made of them.
 *
 * @module
 */
import type { GgufModelType } from "../../src/export/gguf_model.ts";
import type { JobStatus } from "../../src/job.ts";
import type { SampleRound } from "../../src/logs/samples_file.ts";
import type { MetricsRow } from "../../src/run_files.ts";
import type { LossPoint } from "../loss_summary.ts";
import type { Wire } from "./job.ts";

/** Where runs are kept: on the device across visits, or until the page is closed. */
export type RunStore = "device" | "memory";

/** What the worker found on opening. */
export interface Opened {
  readonly store: RunStore;
  /** The latest first. */
  readonly runs: readonly RunEntry[];
}

/** A run that the store holds. */
export interface RunEntry {
  readonly name: string;
  readonly status: JobStatus;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly steps: number;
  readonly totalSteps: number;
  /** Steps that it can go on from; null if all are done or it left no checkpoint. */
  readonly resumable: number | null;
  readonly baseModel: string;
  readonly evalLossBefore: number | null;
  readonly evalLossAfter: number | null;
  /** Why it failed, in words; null unless it did. */
  readonly error: string | null;
  /** Id of the server's job that goes on with it; null if none does. */
  readonly serverJob: string | null;
  /** All its options. */
  readonly config: Wire;
}

/** How a run went, in a few numbers. */
export interface RunGlance {
  readonly name: string;
  /** Of all its files. */
  readonly bytes: number;
  /** Of training, without pauses and evaluations. */
  readonly seconds: number;
  /** Trained on, padding left out. */
  readonly tokens: number;
  /** Its training loss in a few points. */
  readonly spark: readonly number[];
  readonly lastLoss: number | null;
  readonly bestEvaluation: LossPoint | null;
}

/** A job of the server that is to go on here. */
export interface JobToTake {
  readonly id: string;
  /** Paths of the models that the page has: one that has the name of the job's is taken for it, and else the server's. */
  readonly models: readonly string[];
}

/** What a run has made so far. */
export interface RunHoldings {
  /** Of its adapter or, until there is one, of its last checkpoint; and its records. */
  readonly files: readonly RunFile[];
  /** By step. */
  readonly checkpoints: readonly RunCheckpoint[];
  /** Whether training has ended and its adapter is saved. */
  readonly hasAdapter: boolean;
}

/** A state of a run that it can go on from, and an adapter that can be used. */
export interface RunCheckpoint {
  readonly step: number;
  readonly bytes: number;
}

/** A run with what it wrote. */
export interface RunDetails extends RunHoldings {
  readonly entry: RunEntry;
  readonly metrics: readonly MetricsRow[];
  readonly rounds: readonly SampleRound[];
}

/** What to make of a run. */
export interface ExportOrder {
  readonly run: string;
  /** Of which checkpoint; null for the adapter that the run has saved. */
  readonly checkpoint: number | null;
  /** The adapter as PEFT has it, base and adapter merged as transformers has it, each zipped; or merged as one GGUF file. */
  readonly what: "adapter" | "merged" | "gguf";
  /** Element type of a GGUF file's matrices. */
  readonly ggufType: GgufModelType;
  /** A file of the user's to write to; null where the browser offers none. */
  readonly target: FileSystemFileHandle | null;
}

/** What was made of a run. */
export interface Exported {
  /** What the file is called. */
  readonly name: string;
  /** Null where it was written to the order's target. */
  readonly content: Blob | null;
}

/** A file that a run has made. */
export interface RunFile {
  /** In the run's folder, such as `adapter/adapter_config.json`. */
  readonly path: string;
  readonly bytes: number;
}

/** Which file of which run. */
export interface RunFilePath {
  readonly run: string;
  readonly path: string;
}
