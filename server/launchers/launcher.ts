/**
 * Where jobs run: the interface of what starts their processes.
 *
 * @module
 */
import type { TrainingEvent } from "../../src/job.ts";

/** A place for one job at a time, such as one GPU. */
export interface Slot {
  readonly name: string;
  /** Variables that show a process this GPU and no other. */
  readonly env: Readonly<Record<string, string>>;
}

/** What is to run. */
export interface JobOrder {
  readonly jobId: string;
  /** Options of the run, as files have them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The job's own folder, absolute. */
  readonly folder: string;
  readonly slot: Slot;
}

/** An error as the process told it. */
export interface ToldError {
  readonly name: string;
  readonly message: string;
  readonly issues?:
    | readonly { readonly path?: string; readonly line?: number; readonly message: string }[]
    | undefined;
}

/** How a process ended. */
export type JobOutcome =
  | { readonly type: "completed" }
  /** It was told to stop, and left a checkpoint. */
  | { readonly type: "stopped" }
  | { readonly type: "failed"; readonly error: ToldError }
  /** It ended without a word. */
  | { readonly type: "crashed"; readonly how: string; readonly logEnd: string };

/** The process of a job. */
export interface JobProcess {
  /** What the run tells, in order; ends with the process. */
  readonly events: AsyncIterable<TrainingEvent>;
  /** Never rejects. Comes after the last event. */
  readonly outcome: Promise<JobOutcome>;
  /** Asks it to save a checkpoint and end; one that does not is ended after a while. */
  stop(): void;
}

/** Starts processes. */
export interface JobLauncher {
  launch(order: JobOrder): JobProcess;
}
