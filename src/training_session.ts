/**
 * What stands between a job and what trains: the job reads, checks, keeps the logs and saves; a trainer makes steps.
 *
 * @module
 */
import type { Adapter } from "./checkpoint/adapter.ts";
import type { FineTuneJobConfig } from "./config.ts";
import type { ConfigIssue } from "./errors.ts";
import type { MemoryRow, TrainingEvent } from "./job.ts";
import type { BaseModel, LoraSettings } from "./model_manager.ts";
import type { Folder } from "./storage.ts";
import type { StepCount, TrainerData } from "./trainer.ts";

/** Trains an adapter on rows that are ready. */
export interface Trainer {
  /** What the option `trainer` calls it. */
  readonly name: string;
  /** Options that it cannot honour, asked before anything is read; default none. */
  refusals?(config: FineTuneJobConfig): readonly ConfigIssue[];
  /**
   * Tells what it trains on, trains, and saves, all through the session, and gives the events of the run as they come. Steps
   * and evaluations go into the logs of the run by themselves.
   *
   * A dry run ends after `describe()`.
   *
   * @throws The signal's reason when it is aborted.
   */
  train(session: TrainingSession): AsyncGenerator<TrainingEvent>;
}

/** What a run computes on and how, for the summary at its start and for run.json. */
export interface TrainerFacts {
  /** `software` where a GPU's work is done by the CPU. */
  readonly device: { readonly name: string; readonly software: boolean };
  /** Values that training changes. */
  readonly trainableParameters: number;
  /** Decisions with their reasons, one line each; default none. */
  readonly choices?: readonly string[];
  /** Memory plan; default not known. */
  readonly memory?: readonly MemoryRow[];
  /** Blocks whose activations backward computes again; default 0. */
  readonly recomputedBlocks?: number;
  /** Of Lowrank's own kernels. */
  readonly kernels?: Readonly<Record<string, unknown>>;
}

/** A run as a trainer sees it. */
export interface TrainingSession {
  /** All options. */
  readonly config: FineTuneJobConfig;
  /** The base model, opened: its description, its folder, its weights. */
  readonly base: BaseModel;
  /** Token ids and labels of every row; those with label -100 are not learnt. */
  readonly data: TrainerData;
  /** The update that is to be trained. */
  readonly lora: LoraSettings;
  /** Linear maps that get one, as module paths. */
  readonly targetPaths: readonly string[];
  /** The adapter to go on from; null to begin anew. */
  readonly start: Adapter | null;
  /** How long the run is. */
  readonly steps: StepCount;
  /** Folder of the run. */
  readonly output: Folder;
  /** Plan and tell, and train nothing. */
  readonly dryRun: boolean;
  /** Stops the run. */
  readonly signal: AbortSignal;
  /** Indices of the training rows of each micro-batch of a step, from 1. */
  microBatches(step: number): readonly (readonly number[])[];
  /** Learning rate of a step, from 1, where the schedule does not follow evaluations. */
  learningRate(step: number): number;
  /** Epochs done after a step. */
  epochAfter(step: number): number;
  /** Says what the run computes on. The first call gives the event `started`; run.json tells it from then on. */
  describe(facts: TrainerFacts): AsyncGenerator<TrainingEvent>;
  /** Clears the output folder of what another run left, and opens the logs; to be called before the first step. */
  begin(): Promise<unknown>;
  /** Writes the trained adapter, and the merged model where that is wanted, each read back. */
  save(adapter: Adapter): AsyncGenerator<TrainingEvent>;
}
