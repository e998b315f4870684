/**
 * What a job needs from the outside.
 *
 * @module
 */
import type { SharedReadings } from "../data/shared_readings.ts";
import type { DataFiles } from "../data_manager.ts";
import type { Gpu, OpenGpuOptions } from "../gpu/device.ts";
import type { PipelineCache } from "../gpu/pipelines.ts";
import type { Communicator } from "../distributed/communicator.ts";
import type { JobTracker } from "../job_tracker.ts";
import type { FindModel } from "../model_manager.ts";
import type { Plugin } from "../plugin.ts";
import type { Folder, Scratch } from "../storage.ts";
import type { OpenStorage } from "../storage_manager.ts";

/** What a job needs from the outside. */
export interface FineTuneJobDeps {
  /** Opens a folder by its uri. */
  readonly files: (uri: string) => Folder;
  /** Opens the buckets that `gs://`, `s3://`, `az://` and `hf://` URIs name; without it a job stays on `files`. */
  readonly storage?: OpenStorage;
  /** Finds the base model by its name; default: the name is the uri of a folder or a GGUF file. */
  readonly findModel?: FindModel;
  /**
   * Plugins, loaded. Their data formats, model families and trainers can be named by the configuration, and their schemes
   * are added to those of `storage`. Default: none.
   */
  readonly plugins?: readonly Plugin[];
  /** Plan and tell, then stop before anything is trained or written. Default false. */
  readonly dryRun?: boolean;
  /** In a dry run, do two steps and tell how long all would take; what they train is thrown away. Default false. */
  readonly measuresStep?: boolean;
  /** Stops the run after the batch it is at, with a checkpoint. */
  readonly signal?: AbortSignal;
  /**
   * Once aborted, Lowrank's own trainer makes the step it is at the last one: the run is evaluated, saved and completed as
   * if it had been meant to be so short. Without effect on a run of several ranks. Default: never.
   */
  readonly finish?: AbortSignal;
  /**
   * Asked after each step of Lowrank's own trainer but the last: where it says so, prompts are answered then as after
   * every `sample_steps`, and no bit of the parameters changes. Default: never.
   */
  readonly answersNow?: () => boolean;
  /**
   * The other processes that share the steps of this job, each with a job of the same configuration. Rank 0 alone writes
   * and tells a tracker. Default: there are none.
   */
  readonly ranks?: Communicator;
  /** Told how the job stands, and closed at its end. Default: nobody. A dry run tells nobody either. */
  readonly tracker?: JobTracker;
  /** Memory that a software adapter may take, bytes; unknown unless given. */
  readonly availableMemoryBytes?: number;
  /** Paths that a data path stands for; default itself. */
  readonly dataFiles?: DataFiles;
  /** Opens a file for tokens of data that do not fit the memory; without it all of them are kept there. */
  readonly scratch?: () => Scratch;
  /** Data that other jobs read before, or will read again; default: each reads by itself. */
  readonly readings?: SharedReadings;
  /** Where measurements of the adapter are kept from run to run; nowhere unless given. */
  readonly tuning?: Folder;
  /** How the GPU is opened; for other WebGPU implementations. */
  readonly gpu?: OpenGpuOptions;
  /** An open GPU for several jobs, one after the other; it stays open. Default: one of the job's own. */
  readonly device?: OpenDevice;
}

/** A GPU and the kernels compiled on it so far. */
export interface OpenDevice {
  /** An open GPU. */
  readonly gpu: Gpu;
  /** Its compiled kernels. */
  readonly pipelines: PipelineCache;
}

/** Closes what was opened, latest first. */
export type Closers = (() => void | Promise<void>)[];

/** Calls every closer, the latest first. */
export async function closeAll(closers: Closers): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}
