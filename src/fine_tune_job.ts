/**
 * A fine-tuning job from configuration to files: check everything that can be checked, plan, train, save, and read back
 * what was saved. One stream of events tells all of it.
 *
 * @module
 */
import { type Adapter, readAdapter } from "./checkpoint/adapter.ts";
import { type Checkpoint, checkpointName, openCheckpoint, readMoments } from "./checkpoint/resume.ts";
import { resumeIssues } from "./checkpoint/resume_match.ts";
import type { BestEvaluation, RunIdentity } from "./checkpoint/resume_record.ts";
import type { FineTuneJobConfig, QuantizationConfig } from "./config.ts";
import { ChatTemplate } from "./data/chat_template.ts";
import { Tokenizer } from "./data/tokenizer.ts";
import { rowLengths } from "./data/token_rows.ts";
import { DataManager, type Dataset } from "./data_manager.ts";
import { ConfigError, ModelFormatError } from "./errors.ts";
import { readStopTokens } from "./generate/prompt.ts";
import { type Gpu, openGpu, type OpenGpuOptions, requireHardware } from "./gpu/device.ts";
import { PipelineCache } from "./gpu/pipelines.ts";
import type { QuantizationPlan, TrainingEvent } from "./job.ts";
import { RunLogs } from "./logs/run_logs.ts";
import { fitPlan, planQuantizations } from "./memory_plan.ts";
import { type BaseModel, type LoraSettings, ModelManager } from "./model_manager.ts";
import type { BatchLimits } from "./models/trainable_model.ts";
import { checkPlaces, clearOutput, emptyFolder, refuseUsed } from "./output_folder.ts";
import { cardFacts, type PreparedRun, Progress, runRecord, runSummary } from "./prepared_run.ts";
import { chosenCheckpoint, resumeWarnings, RunCheckpoints, runIdentity } from "./run_checkpoints.ts";
import { type RunRecord, writeRunRecord } from "./run_files.ts";
import { checkMerged, saveAdapter, saveMerged, saveMergedCard, trainedAdapter } from "./run_output.ts";
import { heldOutAnswers, Sampler } from "./samples.ts";
import { type Folder, readText } from "./storage.ts";
import {
  batchLimits,
  checkEvaluable,
  countSteps,
  ModelTrainer,
  packsOf,
  type Samples,
  typicalTokens,
} from "./trainer.ts";
import { type RunTiles, tilesOf, variantsForRun } from "./tuning/for_run.ts";
import { modelWork } from "./tuning/model_work.ts";

/** What a job needs from the outside. */
export interface FineTuneJobDeps {
  /** Opens a folder by its uri. */
  readonly files: (uri: string) => Folder;
  /** Plan and tell, then stop before anything is trained or written. Default false. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  /** Memory that a software adapter may take, bytes; unknown unless given. */
  readonly availableMemoryBytes?: number;
  /** Where measurements of the adapter are kept from run to run; nowhere unless given. */
  readonly tuning?: Folder;
  /** How the GPU is opened; for other WebGPU implementations. */
  readonly gpu?: OpenGpuOptions;
  /** An open GPU for several jobs, one after the other; it stays open. Default: one of the job's own. */
  readonly device?: OpenDevice;
}

/** A GPU and the kernels compiled on it so far. */
export interface OpenDevice {
  readonly gpu: Gpu;
  readonly pipelines: PipelineCache;
}

/** Closes what was opened, latest first. */
type Closers = (() => void | Promise<void>)[];

/** A job ready to run. */
export function createFineTuneJob(config: FineTuneJobConfig, deps: FineTuneJobDeps): FineTuneJob {
  return new FineTuneJob(config, deps);
}

export class FineTuneJob {
  readonly #config: FineTuneJobConfig;
  readonly #deps: FineTuneJobDeps;
  readonly #signal: AbortSignal;
  readonly #output: Folder;
  readonly #models: ModelManager;
  readonly #progress = new Progress();
  #logs: RunLogs | null = null;

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
   * @throws {ConfigError} If the output folder holds a run already, the updates do not fit the model, or the run differs
   * from that of the checkpoint to go on from.
   * @throws {DatasetFormatError} With every bad line, before a weight is read.
   * @throws {StorageNotFoundError} @throws {StorageDeniedError} @throws {ModelFormatError}
   * @throws {UnsupportedModelError} If the base model cannot be used.
   * @throws {GpuUnavailableError} @throws {GpuMemoryError} If there is no usable GPU or the run will not fit.
   * @throws {DivergedError} If a loss or gradient is not finite; no adapter is written then.
   */
  async *run(): AsyncGenerator<TrainingEvent> {
    const closers: Closers = [];
    try {
      const run = yield* this.#prepare(closers);
      if (this.#deps.dryRun) return;
      if (run.checkpoint) this.#progress.resume(run.checkpoint.record);
      yield* this.#recorded(run);
      const { steps, seconds, evalLossBefore, evalLossAfter } = this.#progress;
      yield { type: "finished", status: "completed", steps, seconds, evalLossBefore, evalLossAfter };
    } finally {
      for (const close of closers.reverse()) await close();
    }
  }

  /** Trains and saves; run.json says all the while how the run stands. */
  async *#recorded(run: PreparedRun): AsyncGenerator<TrainingEvent> {
    // what stands when whoever consumes the events stops asking for them
    let end: { status: RunRecord["status"]; error: string | null } = { status: "cancelled", error: null };
    await this.#record(run, "running");
    try {
      yield* this.#train(run);
      yield* this.#save(run);
      end = { status: "completed", error: null };
    } catch (error) {
      const status = this.#signal.aborted ? "cancelled" : "failed";
      end = { status, error: error instanceof Error ? error.message : String(error) };
      throw error;
    } finally {
      const recorded = this.#record(run, end.status, end.error);
      await (end.error === null ? recorded : recorded.catch(() => {})); // the first failure is the one to tell
    }
  }

  /** Checks and plans in the order of cost: output folder, model files, data, GPU, memory. */
  async *#prepare(closers: Closers): AsyncGenerator<TrainingEvent, PreparedRun> {
    const { job, training } = this.#config;
    const { checkpoint, warnings: damaged } = await chosenCheckpoint(this.#output, job);
    for (const message of damaged) yield { type: "warning", message };
    if (checkpoint === null) await refuseUsed(this.#output, job);
    await checkPlaces(this.#output, job, this.#deps.dryRun === true);
    yield { type: "phase", message: "reading the base model" };
    const opened = await this.#models.open(job.baseModel);
    const base = ModelManager.quantized(opened, this.#config.quantization);
    closers.push(() => base.weights.close());
    const tokenizer = await Tokenizer.load(base.folder);
    const start = await this.#startAdapter(checkpoint);
    const lora = loraSettings(this.#config, job.adapterPath === null ? null : start);
    ModelManager.checkLora(base, lora);
    const chatTemplate = await this.#template();
    yield { type: "phase", message: "reading the data" };
    const files = (uri: string) => this.#fileOf(uri);
    const dataset = await this.#loadData(
      new DataManager({ files, tokenizer, chatTemplate, allowSpecialTokens: training.allowSpecialTokens }),
    );
    checkTokens(dataset, base);
    const source = chatTemplate ?? tokenizer.chatTemplate;
    const template = source === null ? null : new ChatTemplate(source, tokenizer);
    const stopTokenIds = await readStopTokens(base.folder, base.config, tokenizer, template);
    const packs = packsOf(dataset.train, training);
    const data = { train: dataset.train, eval: dataset.eval, padId: tokenizer.padTokenId, packs };
    checkEvaluable(data, training);
    const steps = countSteps(data, training);
    const made = await runIdentity(this.#config, base, dataset, steps);
    if (checkpoint) refuseOther(checkpoint, made);
    for (const message of warnings(dataset, base)) yield { type: "warning", message };
    this.#signal.throwIfAborted();

    yield { type: "phase", message: "planning" };
    const { gpu, pipelines } = await this.#openDevice(closers);
    yield { type: "phase", message: "choosing kernels" };
    const variants = await variantsForRun({
      gpu,
      pipelines,
      setting: job.variant,
      work: modelWork(base.family, base.config, {
        tokens: typicalTokens(data, training),
        rank: lora.rank,
      }),
      microBatches: this.#deps.dryRun ? 0 : steps.totalSteps * training.gradientAccumulationSteps,
      tiles: checkpoint?.record.tiles as RunTiles | undefined ?? null,
      folder: this.#deps.tuning ?? null,
      retune: job.retune && !this.#deps.dryRun,
      signal: this.#signal,
    });
    const { neftuneNoiseAlpha: alpha, seed } = training;
    const neftune = alpha === null ? null : { alpha, seed };
    const planOf = (planned: BaseModel, limits: BatchLimits) => {
      const model = this.#models.plan(planned, lora, { gpu, pipelines, variants, limits, neftune });
      model.plan();
      return model;
    };
    const { batchSize, evalBatchSize, gradientCheckpointing } = training;
    const limits = batchLimits(data, training);
    const request = {
      setting: gradientCheckpointing,
      blocks: base.config.numHiddenLayers,
      limits,
      gpu,
      memory: { limitGb: job.memoryLimitGb, availableBytes: this.#deps.availableMemoryBytes },
    };
    if (this.#deps.dryRun && ModelManager.packing(opened) === null) {
      const quantizations = planQuantizations({
        ...request,
        plan: (word, some) => planOf(ModelManager.quantized(opened, this.#quantization(word)), some),
      });
      yield { type: "planned", quantizations };
    }
    const { model, recompute, rows: memory } = fitPlan({
      ...request,
      sizes: { batchSize, evalBatchSize, length: limits.length },
      plan: (some) => planOf(base, some),
    });
    closers.push(() => model.destroy());
    closers.push(() => gpu.settle().catch(() => {})); // a stopped run leaves work behind
    if (start) ModelManager.checkAdapter(model, start);
    const identity = { ...made, gpu: gpu.name, tiles: tilesOf(variants) };
    for (const message of checkpoint ? resumeWarnings(checkpoint.record, identity) : []) {
      yield { type: "warning", message };
    }
    const run = {
      base,
      dataset,
      data,
      tokenizer,
      stopTokenIds,
      checkpoint,
      start,
      lora,
      gpu,
      variants,
      model,
      recompute,
      steps,
      memory,
      identity,
    };
    yield { type: "started", summary: runSummary(this.#config, run) };
    return run;
  }

  /** The configured quantisation in another number of bits. */
  #quantization(word: QuantizationPlan["quantization"]): QuantizationConfig {
    return {
      ...this.#config.quantization,
      loadIn4bit: word === "4bit",
      loadIn8bit: word === "8bit",
    };
  }

  async #openDevice(closers: Closers): Promise<OpenDevice> {
    const { requireGpu } = this.#config.job;
    const given = this.#deps.device;
    if (given && requireGpu) requireHardware(given.gpu);
    if (given) return given;
    const gpu = await openGpu({ ...this.#deps.gpu, requireHardware: requireGpu });
    closers.push(() => gpu.close());
    return { gpu, pipelines: new PipelineCache(gpu) };
  }

  async *#train(run: PreparedRun): AsyncGenerator<TrainingEvent> {
    const { base, data, checkpoint, start, model, gpu } = run;
    yield { type: "phase", message: "loading the base model" };
    model.allocate();
    await model.decoder.load(base.weights);
    const { seed } = this.#config.training;
    this.#models.initialise(model, start ? { kind: "adapter", adapter: start } : { kind: "seed", seed });
    await clearOutput(this.#output, checkpoint);
    const from = checkpoint && { state: checkpoint.record, moments: await readMoments(checkpoint.folder) };
    const logs = this.#logs = await RunLogs.open(this.#output, this.#config, checkpoint);
    if (checkpoint) {
      yield { type: "resumed", step: checkpoint.record.step, path: checkpoint.folder.uri };
    }
    const sampler = this.#sampler(run);
    if (sampler && !checkpoint) yield* this.#sampled(sampler, logs);
    yield { type: "phase", message: "compiling kernels" };
    const [output, config, progress] = [this.#output, this.#config, this.#progress];
    const checkpoints = new RunCheckpoints({ output, config, run, progress, logs });
    const trainer = new ModelTrainer(model, data, config.training);
    const samples = sampler && this.#samples(sampler);
    try {
      for await (const event of trainer.train(this.#signal, { from, checkpoints, samples })) {
        await logs.add(event);
        progress.note(event);
        yield event;
      }
    } finally {
      await logs.flush();
    }
    yield* this.#bestLoaded(run, trainer.best);
    if (sampler) yield* this.#sampled(sampler, logs);
    gpu.check();
  }

  /** Asks held-out prompts, where that is wanted and there are any. */
  #sampler({ model, tokenizer, data, stopTokenIds }: PreparedRun): Sampler | null {
    const { numGenerationSamples, exactMatch } = this.#config.training;
    if (numGenerationSamples === 0 && !exactMatch) return null;
    const sampler = new Sampler(model, tokenizer, heldOutAnswers(data.eval, tokenizer), {
      shown: numGenerationSamples,
      exactMatch,
      rowLength: batchLimits(data, this.#config.training).length,
      stopTokenIds,
    });
    return sampler.asks ? sampler : null;
  }

  /** Answers in the middle of training. */
  #samples(sampler: Sampler): Samples {
    const { sampleSteps } = this.#config.training;
    return {
      due: (step) => sampleSteps > 0 && step % sampleSteps === 0,
      sampled: (step, signal) => sampler.sampled(step, signal),
    };
  }

  /** Puts the weights of the best evaluation in place of the last ones, where that is wanted. */
  async *#bestLoaded({ model }: PreparedRun, best: BestEvaluation | null): AsyncGenerator<TrainingEvent> {
    const { loadBestModelAtEnd, metricForBestModel } = this.#config.training;
    if (!loadBestModelAtEnd || best === null || best.step === this.#progress.steps) return;
    const found = `${metricForBestModel} ${best.metric.toPrecision(4)}`;
    yield { type: "phase", message: `loading the best weights, those after step ${best.step} (${found})` };
    const { folder } = await openCheckpoint(this.#output.folder(checkpointName(best.step)));
    this.#models.initialise(model, { kind: "adapter", adapter: await readAdapter(folder) });
    this.#progress.evalLossAfter = best.eval_loss;
  }

  async *#sampled(sampler: Sampler, logs: RunLogs): AsyncGenerator<TrainingEvent> {
    yield { type: "phase", message: "answering held-out prompts" };
    const event = await sampler.sampled(this.#progress.steps, this.#signal);
    await logs.add(event);
    this.#progress.note(event);
    yield event;
  }

  async *#save(run: PreparedRun): AsyncGenerator<TrainingEvent> {
    const { job, training } = this.#config;
    yield { type: "phase", message: "saving" };
    const adapter = await trainedAdapter(run);
    const facts = await cardFacts(this.#config, run, this.#progress);
    for (const name of ["adapter", "merged"]) await emptyFolder(this.#output.folder(name));
    if (job.save !== "merged") {
      const folder = this.#output.folder("adapter");
      await saveAdapter(folder, adapter, facts);
      yield { type: "saved", what: "adapter", path: folder.uri };
    }
    if (job.save !== "adapter") {
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

  /** The adapter to continue from; on resuming that of the checkpoint, whatever the run began with. */
  async #startAdapter(checkpoint: Checkpoint | null): Promise<Adapter | null> {
    const { adapterPath } = this.#config.job;
    if (checkpoint) return await readAdapter(checkpoint.folder);
    return adapterPath === null ? null : await readAdapter(this.#deps.files(adapterPath));
  }

  /** Writes run.json, and at the end of the run what tells of its course. */
  async #record(run: PreparedRun, status: RunRecord["status"], error: string | null = null): Promise<void> {
    const record = runRecord(this.#config, run, this.#progress, status, error);
    await writeRunRecord(this.#output, record);
    if (status !== "running") await this.#logs?.finish(record);
  }

  #fileOf(uri: string): { folder: Folder; name: string } {
    const slash = uri.lastIndexOf("/");
    return {
      folder: this.#deps.files(slash < 0 ? "." : uri.slice(0, slash + 1)),
      name: uri.slice(slash + 1),
    };
  }

  async #template(): Promise<string | null> {
    const path = this.#config.training.chatTemplatePath;
    if (path === null) return null;
    const { folder, name } = this.#fileOf(path);
    return await readText(folder, name);
  }

  #loadData(manager: DataManager): Promise<Dataset> {
    const { job, training } = this.#config;
    return manager.load({
      trainingDataPath: job.trainingDataPath,
      evalDataPath: job.evalDataPath,
      trainTestSplit: training.trainTestSplit,
      dataFormat: training.dataFormat,
      columnMapping: training.columnMapping,
      trainOn: training.trainOn,
      maxLength: training.maxLength,
      seed: training.seed,
    });
  }
}

/** An adapter to continue from brings its own rank, alpha and targets. */
export function loraSettings({ lora }: FineTuneJobConfig, start: Adapter | null): LoraSettings {
  if (!start) return { rank: lora.r, alpha: lora.alpha, targetModules: lora.targetModules };
  const { rank, alpha, targetModules } = start.config;
  const pathOf = (key: string) => key.replace(/^base_model\.model\.|\.lora_[AB]\.weight$/g, "");
  return { rank, alpha, targetModules: targetModules ?? [...new Set([...start.tensors.keys()].map(pathOf))] };
}

/** @throws {ConfigError} With all that differs between the checkpoint's run and this one. */
function refuseOther({ record }: Checkpoint, identity: Omit<RunIdentity, "gpu">): void {
  const issues = resumeIssues(record, identity);
  if (issues.length > 0) throw new ConfigError(issues);
}

function warnings(dataset: Dataset, { config }: BaseModel): string[] {
  const found = [...dataset.warnings];
  const longest = [dataset.train, dataset.eval]
    .reduce((most, rows) => rowLengths(rows).reduce((longer, length) => Math.max(longer, length), most), 0);
  if (longest > config.maxPositionEmbeddings) {
    found.push(
      `rows of up to ${longest} tokens exceed the ${config.maxPositionEmbeddings} positions ` +
        "that the base model was trained on: lower max_length",
    );
  }
  return found;
}

/** Every id must have a row of the embedding: where there is none, the GPU would read another without a word. */
function checkTokens({ train, eval: held }: Dataset, { uri, config: { vocabSize } }: BaseModel): void {
  for (const rows of [train, held]) {
    for (const { inputIds } of rows) {
      const beyond = inputIds.find((id) => id >= vocabSize);
      if (beyond === undefined) continue;
      throw new ModelFormatError(
        `Cannot train the model in "${uri}": the tokenizer gives token id ${beyond} and the model knows ids below ` +
          `${vocabSize}; take the tokenizer.json that belongs to the model`,
      );
    }
  }
}
