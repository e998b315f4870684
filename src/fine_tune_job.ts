/**
 * A fine-tuning job from configuration to files: check everything that can be checked, plan, train, save, and read back
 * what was saved. One stream of events tells all of it. Its parts lie in `fine_tune_job/`.
 *
 * @module
 */
import { type FineTuneJobConfig, toWire } from "./config.ts";
import { closeAll, type Closers, type FineTuneJobDeps, type OpenDevice } from "./fine_tune_job/deps.ts";
import { type Destination, openDestination } from "./fine_tune_job/destination.ts";
import { readInputs } from "./fine_tune_job/inputs.ts";
import { openDevice, planRun } from "./fine_tune_job/plan.ts";
import { type DeviceLoss, fromLastCheckpoint, lossBehind, Recoveries } from "./fine_tune_job/recovery.ts";
import { savedRun, uploadSaved } from "./fine_tune_job/saved_run.ts";
import { loadModel, trainRun } from "./fine_tune_job/training.ts";
import type { Gpu } from "./gpu/device.ts";
import type { TrainingEvent } from "./job.ts";
import { RunLogs } from "./logs/run_logs.ts";
import { ModelManager } from "./model_manager.ts";
import { adapterFolder, clearOutput, emptyFolder, holdOutput } from "./output_folder.ts";
import { cardFacts, type PreparedRun, type RunInputs, runRecord, runSummary } from "./prepared_run.ts";
import { redactedData } from "./redact.ts";
import { type RunRecord, writeRunRecord, writeTrainingConfig } from "./run_files.ts";
import { Progress } from "./run_progress.ts";
import { checkMerged, saveAdapter, saveMerged, saveMergedCard, trainedAdapter } from "./run_output.ts";
import type { Folder } from "./storage.ts";
import { trackedEvents } from "./tracked_run.ts";
import { runtimeVersion, VERSION } from "./version.ts";

export type { FineTuneJobDeps, OpenDevice } from "./fine_tune_job/deps.ts";

/** A job ready to run. */
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
  readonly #models: ModelManager;
  readonly #progress = new Progress();
  /** On the device of the moment; null until training begins. */
  #run: PreparedRun | null = null;
  /** Open once the folder holds this run alone. */
  #logs: RunLogs | null = null;
  /** Where the results go and whether they are there; null until everything is saved, and where they stay. */
  #upload: NonNullable<RunRecord["upload"]> | null = null;

  /**
   * Does nothing before {@link FineTuneJob.run}.
   *
   * @param config What to do.
   * @param deps Where files, GPU and clock come from.
   */
  constructor(config: FineTuneJobConfig, deps: FineTuneJobDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#signal = deps.signal ?? new AbortController().signal;
    this.#output = deps.files(config.job.outputDir);
    this.#models = new ModelManager(deps.files);
  }

  /**
   * Runs the job to its end.
   *
   * @throws {ConfigError} If the output folder holds a run already or another run writes to it, the updates do not fit the model, or the run differs
   * from that of the checkpoint to go on from.
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
    return tracker && !dryRun ? trackedEvents(this.#events(), tracker, this.#signal) : this.#events();
  }

  async *#events(): AsyncGenerator<TrainingEvent> {
    const closers: Closers = [];
    try {
      if (!this.#deps.dryRun) closers.push(await holdOutput(this.#output, this.#config.job));
      const { dryRun = false } = this.#deps;
      const destination = await openDestination(this.#config, this.#deps);
      await destination?.check(this.#config.job, dryRun);
      const saved = dryRun ? null : await savedRun(this.#output, this.#config);
      if (saved && destination) {
        return yield* uploadSaved(saved, destination, this.#config, this.#output, this.#signal);
      }
      const inputs = yield* readInputs(this.#config, this.#deps, closers);
      yield* this.#recorded(inputs, destination);
      if (dryRun) return;
      const { steps, seconds, evalLossBefore, evalLossAfter } = this.#progress;
      yield { type: "finished", status: "completed", steps, seconds, evalLossBefore, evalLossAfter };
    } finally {
      await closeAll(closers);
    }
  }

  /** Plans, trains and saves; from the first step on, run.json says all the while how the run stands. */
  async *#recorded(inputs: RunInputs, destination: Destination | null): AsyncGenerator<TrainingEvent> {
    // what stands when whoever consumes the events stops asking for them
    let end: { status: RunRecord["status"]; error: string | null } = { status: "cancelled", error: null };
    try {
      yield* this.#onDevices(inputs);
      if (destination && !this.#deps.dryRun) yield* this.#uploaded(destination);
      end = { status: "completed", error: null };
    } catch (error) {
      const status = this.#signal.aborted ? "cancelled" : "failed";
      end = { status, error: error instanceof Error ? error.message : String(error) };
      throw error;
    } finally {
      const recorded = this.#record(end.status, end.error);
      await (end.error === null ? recorded : recorded.catch(() => {})); // the first failure is the one to tell
    }
  }

  /** Copies what is saved to where it goes. The device is closed by then. */
  async *#uploaded(destination: Destination): AsyncGenerator<TrainingEvent> {
    const { uri } = destination;
    this.#upload = { uri, done: true };
    const completed = this.#recordOf("completed", null);
    await this.#logs!.finish(completed); // its files are among those that go up
    this.#upload = { uri, done: false };
    await this.#record("running");
    yield* destination.upload(this.#output, completed, this.#config.job.overwrite, this.#signal);
    this.#upload = { uri, done: true };
  }

  /** Runs to the end on one device after the other, as long as lost ones may be replaced. */
  async *#onDevices(inputs: RunInputs): AsyncGenerator<TrainingEvent> {
    const recoveries = new Recoveries(this.#config.job.maxDeviceRecoveries);
    let from = inputs, lost: Gpu | null = null;
    while (true) {
      const closers: Closers = [];
      let device: OpenDevice | null = null;
      try {
        yield { type: "phase", stage: "plan", message: "planning" };
        device = await openDevice(this.#config, this.#deps, closers, lost);
        const run = yield* planRun(this.#config, this.#deps, from, device, closers);
        from = { ...from, identity: { ...from.identity, tiles: run.identity.tiles! } };
        if (!this.#run) {
          yield { type: "started", summary: runSummary(this.#config, run) };
          if (this.#deps.dryRun) return;
          if (run.checkpoint) this.#progress.resume(run.checkpoint.record);
        }
        this.#run = run;
        await this.#record("running");
        yield* this.#train(run);
        return yield* this.#save(run);
      } catch (error) {
        const loss = await lossBehind(error, device?.gpu ?? null, this.#signal);
        if (loss === null) throw error;
        from = yield* this.#afterLoss(loss, from, recoveries);
        lost = device!.gpu;
      } finally {
        await closeAll(closers);
      }
    }
  }

  /** Tells of a lost device, and goes back to where the run can go on. @throws The loss, if it is one too many. */
  async *#afterLoss(
    loss: DeviceLoss,
    inputs: RunInputs,
    recoveries: Recoveries,
  ): AsyncGenerator<TrainingEvent, RunInputs> {
    // until the folder was cleared, checkpoints in it may be another run's
    const from = this.#logs ? await fromLastCheckpoint(inputs, this.#output) : inputs;
    const event = recoveries.add(loss, from.checkpoint?.record.step ?? 0);
    this.#progress.rewind(from.checkpoint?.record ?? null);
    this.#progress.note(event);
    yield event;
    this.#signal.throwIfAborted();
    return from;
  }

  async *#train(run: PreparedRun): AsyncGenerator<TrainingEvent> {
    const { checkpoint } = run, config = this.#config, output = this.#output, models = this.#models;
    yield* loadModel(run, models, config.training.seed, this.#signal);
    await clearOutput(output, checkpoint);
    const versions = { lowrank: VERSION, runtime: runtimeVersion() };
    await writeTrainingConfig(output, redactedData(toWire(config)), versions);
    const logs = this.#logs = await RunLogs.open(output, config, checkpoint);
    const [progress, signal] = [this.#progress, this.#signal];
    yield* trainRun(run, { config, output, models, progress, logs, signal });
  }

  async *#save(run: PreparedRun): AsyncGenerator<TrainingEvent> {
    const { job, training } = this.#config;
    yield { type: "phase", stage: "save", message: "saving" };
    const adapter = await trainedAdapter(run);
    const facts = await cardFacts(this.#config, run, this.#progress);
    const into = adapterFolder(this.#output, job);
    for (const folder of [into, this.#output.folder("merged")]) await emptyFolder(folder);
    if (job.save !== "merged") {
      await saveAdapter(into, adapter, facts);
      yield { type: "saved", what: "adapter", path: into.uri };
    }
    if (job.save !== "adapter") {
      yield { type: "phase", stage: "merge", message: "merging" };
      const folder = this.#output.folder("merged");
      const { mergeBase } = job, signal = this.#signal;
      await saveMerged(folder, adapter, run, mergeBase);
      yield { type: "phase", message: "reading the merged model back" };
      const compared = await checkMerged(run, { folder, adapter, mergeBase, training, signal });
      if (compared) {
        this.#progress.note(compared);
        yield compared;
      }
      await saveMergedCard(folder, { ...facts, merged: this.#progress.merged });
      yield { type: "saved", what: "merged", path: folder.uri };
    }
  }

  /** Writes run.json, and at the end of the run what tells of its course. Nothing before training begins. */
  async #record(status: RunRecord["status"], error: string | null = null): Promise<void> {
    if (!this.#run) return;
    const record = this.#recordOf(status, error);
    await writeRunRecord(this.#output, record);
    // the course of a run that is saved is written already, and what is uploaded stays as it is
    if (status !== "running" && !this.#upload) await this.#logs?.finish(record);
  }

  #recordOf(status: RunRecord["status"], error: string | null): RunRecord {
    return { ...runRecord(this.#config, this.#run!, this.#progress, status, error), upload: this.#upload };
  }
}
