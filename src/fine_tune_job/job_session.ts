/**
 * A run as the job keeps it: what was read, how far it has come, what it leaves.
 *
 * @module
 */
import type { Adapter } from "../checkpoint/adapter.ts";
import type { Checkpoint } from "../checkpoint/resume.ts";
import { type FineTuneJobConfig, toWire } from "../config.ts";
import type { EpochSampler } from "../data/epoch_sampler.ts";
import type { TrainingEvent } from "../job.ts";
import { RunLogs } from "../logs/run_logs.ts";
import { type BaseModel, type LoraSettings, loraTargets } from "../model_manager.ts";
import { adapterFolder, clearOutput, emptyFolder } from "../output_folder.ts";
import { cardFacts, type RunInputs, runRecord, runSummary } from "../prepared_run.ts";
import { redactedData } from "../redact.ts";
import { type RunRecord, writeRunRecord, writeTrainingConfig } from "../run_files.ts";
import { type ComparedEvent, saveAdapter, saveMerged, saveMergedCard } from "../run_output.ts";
import { Progress } from "../run_progress.ts";
import type { Folder } from "../storage.ts";
import { LearningRate, samplerOf, type StepCount, type TrainerData } from "../trainer.ts";
import type { TrainerFacts, TrainingSession } from "../training_session.ts";
import { runtimeVersion, VERSION } from "../version.ts";
import type { CheckpointMirror } from "./checkpoint_mirror.ts";
import type { Destination } from "./destination.ts";

/** What a session is made of. */
export interface JobSessionOptions {
  readonly config: FineTuneJobConfig;
  readonly inputs: RunInputs;
  readonly output: Folder;
  readonly signal: AbortSignal;
  readonly dryRun: boolean;
  /** Whether this process writes; one rank of a run does. Default true. */
  readonly leads?: boolean;
  /** Copies checkpoints elsewhere; null for nobody. */
  readonly mirror: CheckpointMirror | null;
}

/** Looks at a merged model; gives the losses where there are any to compare. */
export type MergedLook = (folder: Folder) => Promise<ComparedEvent | null>;

export class JobSession implements TrainingSession {
  readonly config: FineTuneJobConfig;
  readonly inputs: RunInputs;
  readonly output: Folder;
  readonly signal: AbortSignal;
  readonly dryRun: boolean;
  readonly mirror: CheckpointMirror | null;
  readonly progress: Progress = new Progress();
  readonly #leads: boolean;
  readonly #sampler: EpochSampler;
  readonly #rates: LearningRate;
  /** Of the device of the moment; null until training begins. */
  #facts: TrainerFacts | null = null;
  /** Open once the folder holds this run alone. */
  #logs: RunLogs | null = null;
  #isSaved = false;
  /** Where the results go and whether they are there; null until everything is saved, and where they stay. */
  #upload: NonNullable<RunRecord["upload"]> | null = null;

  constructor({ config, inputs, output, signal, dryRun, leads = true, mirror }: JobSessionOptions) {
    this.config = config;
    this.inputs = inputs;
    this.output = output;
    this.signal = signal;
    this.dryRun = dryRun;
    this.#leads = leads;
    this.mirror = mirror;
    this.#sampler = samplerOf(inputs.data, config.training);
    this.#rates = new LearningRate(config.training, inputs.steps.totalSteps);
  }

  get base(): BaseModel {
    return this.inputs.base;
  }

  get data(): TrainerData {
    return this.inputs.data;
  }

  get lora(): LoraSettings {
    return this.inputs.lora;
  }

  get targetPaths(): readonly string[] {
    return [...loraTargets(this.base, this.lora).keys()];
  }

  get start(): Adapter | null {
    return this.inputs.start;
  }

  get steps(): StepCount {
    return this.inputs.steps;
  }

  /** Whether the folder holds this run alone by now. */
  get isBegun(): boolean {
    return this.#logs !== null;
  }

  /** Whether everything that was wanted is saved. */
  get isSaved(): boolean {
    return this.#isSaved;
  }

  microBatches(step: number): readonly (readonly number[])[] {
    return this.#sampler.microBatches(step - 1);
  }

  learningRate(step: number): number {
    return this.#rates.of(step);
  }

  epochAfter(step: number): number {
    return this.#sampler.epochAfter(step);
  }

  async *describe(facts: TrainerFacts): AsyncGenerator<TrainingEvent> {
    if (!this.#facts) {
      yield { type: "started", summary: runSummary(this.config, this.inputs, facts) };
      if (this.dryRun) return;
      const { checkpoint } = this.inputs;
      if (checkpoint) this.progress.resume(checkpoint.record);
    }
    this.#facts = facts;
    await this.record("running");
  }

  /**
   * @param checkpoint Where the run goes on; default where it went on when the job began.
   * @returns Null where another rank writes.
   */
  async begin(checkpoint: Checkpoint | null = this.inputs.checkpoint): Promise<RunLogs | null> {
    if (!this.#leads) return null;
    await clearOutput(this.output, checkpoint);
    this.mirror?.push(); // copies of what was cleared must not be taken for those of this run
    const versions = { lowrank: VERSION, runtime: runtimeVersion() };
    await writeTrainingConfig(this.output, redactedData(toWire(this.config)), versions);
    return this.#logs = await RunLogs.open(this.output, this.config, checkpoint);
  }

  /** Takes an event of the trainer into logs and progress. */
  async note(event: TrainingEvent): Promise<void> {
    await this.#logs?.add(event);
    this.progress.note(event);
    if (event.type === "checkpointed") this.mirror?.push();
  }

  /** @param look Compares the merged model with the trained one, where the trainer can. */
  async *save(adapter: Adapter, look: MergedLook | null = null): AsyncGenerator<TrainingEvent> {
    const { config: { job }, inputs, progress } = this;
    yield { type: "phase", stage: "save", message: "saving" };
    const facts = await cardFacts(this.config, inputs, this.#facts!, progress);
    const into = adapterFolder(this.output, job);
    for (const folder of [into, this.output.folder("merged")]) await emptyFolder(folder);
    if (job.save !== "merged") {
      await saveAdapter(into, adapter, facts);
      yield { type: "saved", what: "adapter", path: into.uri };
    }
    if (job.save !== "adapter") {
      yield { type: "phase", stage: "merge", message: "merging" };
      const folder = this.output.folder("merged");
      await saveMerged(folder, adapter, inputs, job.mergeBase);
      if (look) {
        yield { type: "phase", message: "reading the merged model back" };
        const compared = await look(folder);
        if (compared) yield compared;
      }
      await saveMergedCard(folder, { ...facts, merged: progress.merged });
      yield { type: "saved", what: "merged", path: folder.uri };
    }
    this.#isSaved = true;
  }

  /** Copies what is saved to where it goes. The device is closed by then. */
  async *upload(destination: Destination): AsyncGenerator<TrainingEvent> {
    const { uri } = destination;
    this.#upload = { uri, done: true };
    const completed = this.#recordOf(this.#facts!, "completed", null);
    await this.#logs!.finish(completed); // its files are among those that go up
    this.#upload = { uri, done: false };
    await this.record("running");
    yield* destination.upload(this.output, completed, this.config.job.overwrite, this.signal);
    this.#upload = { uri, done: true };
  }

  /** Writes run.json, and at the end of the run what tells of its course. Nothing before training begins. */
  async record(status: RunRecord["status"], error: string | null = null): Promise<void> {
    if (!this.#facts || !this.#leads) return;
    const record = this.#recordOf(this.#facts, status, error);
    await writeRunRecord(this.output, record);
    // the course of a run that is saved is written already, and what is uploaded stays as it is
    if (status !== "running" && !this.#upload) await this.#logs?.finish(record);
  }

  #recordOf(facts: TrainerFacts, status: RunRecord["status"], error: string | null): RunRecord {
    const state = { progress: this.progress, status, error };
    return { ...runRecord(this.config, this.inputs, facts, state), upload: this.#upload };
  }
}
