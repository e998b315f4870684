/**
 * A fine-tuning job from configuration to files: check everything that can be checked, plan, train, save, and read back
 * what was saved. One stream of events tells all of it. Its parts lie in `fine_tune_job/`.
 *
 * @module
 */
import type { FineTuneJobConfig } from "./config.ts";
import { agree } from "./fine_tune_job/agreement.ts";
import { type Communicator, ONE_RANK, RankStoppedError } from "./distributed/communicator.ts";
import { closeAll, type Closers, type FineTuneJobDeps } from "./fine_tune_job/deps.ts";
import type { CheckpointMirror } from "./fine_tune_job/checkpoint_mirror.ts";
import { type Destination, openDestination } from "./fine_tune_job/destination.ts";
import { readInputs } from "./fine_tune_job/inputs.ts";
import { JobSession } from "./fine_tune_job/job_session.ts";
import { type JobParts, jobParts } from "./fine_tune_job/parts.ts";
import { savedRun, uploadSaved } from "./fine_tune_job/saved_run.ts";
import type { TrainingEvent } from "./job.ts";
import { holdOutput } from "./output_folder.ts";
import type { RunRecord } from "./run_files.ts";
import type { Folder } from "./storage.ts";
import { trackedEvents } from "./tracked_run.ts";

export type { FineTuneJobDeps, OpenDevice } from "./fine_tune_job/deps.ts";

/**
 * A job ready to run.
 *
 * @throws {ConfigError} If a plugin cannot be used, or nobody brings the trainer.
 */
export function createFineTuneJob(config: FineTuneJobConfig, deps: FineTuneJobDeps): FineTuneJob {
  return new FineTuneJob(config, deps);
}

/**
 * A fine-tuning job from its configuration to saved files: model, data, plan, training, adapter, merged model.
 */
export class FineTuneJob {
  readonly #config: FineTuneJobConfig;
  readonly #deps: FineTuneJobDeps;
  readonly #signal: AbortSignal;
  readonly #output: Folder;
  readonly #parts: JobParts;
  readonly #ranks: Communicator;

  /**
   * Does nothing before {@link FineTuneJob.run}.
   *
   * @param config What to do.
   * @param deps Where files, GPU and clock come from.
   */
  constructor(config: FineTuneJobConfig, deps: FineTuneJobDeps) {
    this.#config = config;
    this.#parts = jobParts(config, deps);
    const { storage } = this.#parts;
    this.#deps = { ...deps, ...(storage ? { storage } : {}) };
    this.#signal = deps.signal ?? new AbortController().signal;
    this.#output = deps.files(config.job.outputDir);
    this.#ranks = deps.ranks ?? ONE_RANK;
  }

  /**
   * Runs the job to its end.
   *
   * @throws {ConfigError} If the output folder holds a run already or another run writes to it, the updates do not fit the model, or the run differs
   * from that of the checkpoint to go on from, or from that of another rank.
   * @throws {DatasetFormatError} With every bad line, before a weight is read.
   * @throws {StorageNotFoundError} @throws {StorageDeniedError} @throws {ModelFormatError}
   * @throws {StorageBucketError} @throws {StorageInterruptedError} @throws {StorageDamagedError} If a bucket cannot be
   * reached; what was trained by then stays in the output folder, and `resume: auto` only uploads it.
   * @throws {UnsupportedModelError} If the base model cannot be used.
   * @throws {GpuUnavailableError} @throws {GpuMemoryError} If there is no usable GPU or the run will not fit.
   * @throws {DivergedError} If a loss or gradient is not finite; no adapter is written then.
   * @throws {GpuLostError} If GPUs were lost more often than `max_device_recoveries`; the last checkpoint is kept then.
   */
  run(): AsyncGenerator<TrainingEvent> {
    const { tracker, dryRun } = this.#deps;
    return tracker && !dryRun && this.#leads
      ? trackedEvents(this.#events(), tracker, this.#signal)
      : this.#events();
  }

  /** Whether this process writes, and tells others. */
  get #leads(): boolean {
    return this.#ranks.rank === 0;
  }

  async *#events(): AsyncGenerator<TrainingEvent> {
    const closers: Closers = [], leads = this.#leads;
    try {
      const { dryRun = false } = this.#deps, writes = leads && !dryRun;
      if (writes) closers.push(await holdOutput(this.#output, this.#config.job));
      const destination = leads ? await openDestination(this.#config, this.#deps) : null;
      await destination?.check(this.#config.job, dryRun, this.#signal);
      const saved = writes ? await savedRun(this.#output, this.#config) : null;
      const mirror = this.#mirrorAt(destination);
      if (writes && !saved && this.#config.job.resume === "auto") {
        yield* destination?.mirror(this.#output).restore(this.#signal) ?? []; // though no more may be copied there
      }
      const [todo] = await this.#ranks.gather(saved && destination ? "upload" : "train");
      if (todo === "upload") {
        if (!saved || !destination) return;
        return yield* uploadSaved(saved, destination, this.#config, this.#output, this.#signal);
      }
      const inputs = yield* readInputs(this.#config, this.#deps, this.#parts, closers);
      const { identity, checkpoint } = inputs;
      await agree(this.#ranks, { identity, step: checkpoint?.record.step ?? 0 });
      const [config, output, signal] = [this.#config, this.#output, this.#signal];
      const session = new JobSession({ config, inputs, output, signal, dryRun, leads, mirror });
      yield* this.#recorded(session, destination);
      if (dryRun) return;
      const { steps, seconds, evalLossBefore, evalLossAfter } = session.progress;
      yield { type: "finished", status: "completed", steps, seconds, evalLossBefore, evalLossAfter };
    } finally {
      await closeAll(closers);
    }
  }

  #mirrorAt(destination: Destination | null): CheckpointMirror | null {
    const { dryRun = false } = this.#deps, { uploadCheckpoints } = this.#config.job;
    return destination && uploadCheckpoints && !dryRun ? destination.mirror(this.#output) : null;
  }

  /** Trains and saves; from the first step on, run.json says all the while how the run stands. */
  async *#recorded(session: JobSession, destination: Destination | null): AsyncGenerator<TrainingEvent> {
    // what stands when whoever consumes the events stops asking for them
    let end: { status: RunRecord["status"]; error: string | null } = { status: "cancelled", error: null };
    try {
      for await (const event of this.#parts.trainer.train(session)) {
        await session.note(event);
        yield event;
        yield* session.mirror?.news() ?? [];
      }
      if (!session.dryRun && !session.isSaved && this.#leads) {
        throw new Error(`The trainer "${this.#parts.trainer.name}" ended and saved nothing`);
      }
      await session.mirror?.stop(); // the results hold all that its copies do
      if (destination && !session.dryRun) yield* session.upload(destination);
      end = { status: "completed", error: null };
    } catch (error) {
      const isStop = this.#signal.aborted || error instanceof RankStoppedError;
      const status = isStop ? "cancelled" : "failed";
      end = { status, error: error instanceof Error ? error.message : String(error) };
      yield* session.mirror?.settle() ?? [];
      throw error;
    } finally {
      await session.mirror?.stop();
      const recorded = session.record(end.status, end.error);
      await (end.error === null ? recorded : recorded.catch(() => {})); // the first failure is the one to tell
    }
  }
}
