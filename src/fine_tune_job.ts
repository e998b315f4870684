/**
 * A fine-tuning job from configuration to files: check everything that can be checked, plan, train, save, and read back
 * what was saved. One stream of events tells all of it.
 *
 * @module
 */
import { type Adapter, readAdapter } from "./checkpoint/adapter.ts";
import type { FineTuneJobConfig } from "./config.ts";
import { Tokenizer } from "./data/tokenizer.ts";
import { DataManager, type Dataset } from "./data_manager.ts";
import { ConfigError } from "./errors.ts";
import { openGpu, type OpenGpuOptions } from "./gpu/device.ts";
import type { TrainingEvent } from "./job.ts";
import { checkMemory, memoryRows } from "./memory_plan.ts";
import { type BaseModel, type LoraSettings, ModelManager } from "./model_manager.ts";
import type { BatchLimits } from "./models/lora_model.ts";
import { chooseVariants } from "./nn/variants.ts";
import { cardFacts, type PreparedRun, Progress, runRecord, runSummary } from "./prepared_run.ts";
import { METRICS_FILE, MetricsLog, RUN_FILE, type RunRecord, writeRunRecord } from "./run_files.ts";
import { checkMerged, saveAdapter, saveMerged, trainedAdapter } from "./run_output.ts";
import { type Folder, readText } from "./storage.ts";
import { batchLimits, countSteps, ModelTrainer } from "./trainer.ts";

/** What a job needs from the outside. */
export interface FineTuneJobDeps {
  /** Opens a folder by its uri. */
  readonly files: (uri: string) => Folder;
  /** Plan and tell, then stop before anything is trained or written. Default false. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  /** Memory that a software adapter may take, bytes; unknown unless given. */
  readonly availableMemoryBytes?: number;
  /** How the GPU is opened; for other WebGPU implementations and for tests. */
  readonly gpu?: OpenGpuOptions;
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
   * @throws {ConfigError} If the output folder holds a run already.
   * @throws {DatasetFormatError} With every bad line, before the model is touched.
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
      try {
        await this.#record(run, "running");
        yield* this.#train(run);
        yield* this.#save(run);
        await this.#record(run, "completed");
      } catch (error) {
        const status = this.#signal.aborted ? "cancelled" : "failed";
        await this.#record(run, status, error instanceof Error ? error.message : String(error));
        throw error;
      }
      const { steps, seconds, evalLossBefore, evalLossAfter } = this.#progress;
      yield { type: "finished", status: "completed", steps, seconds, evalLossBefore, evalLossAfter };
    } finally {
      for (const close of closers.reverse()) await close();
    }
  }

  /** Checks and plans in the order of cost: output folder, data lines, model files, tokens, GPU, memory. */
  async *#prepare(closers: Closers): AsyncGenerator<TrainingEvent, PreparedRun> {
    const { job, training } = this.#config;
    await this.#checkOutput();
    yield { type: "phase", message: "checking the data" };
    const files = (uri: string) => this.#fileOf(uri);
    for (const path of [job.trainingDataPath, job.evalDataPath]) {
      if (path !== null) await new DataManager({ files }).validate(path, training.dataFormat);
    }

    yield { type: "phase", message: "reading the base model" };
    const base = await this.#models.open(job.baseModel);
    closers.push(() => base.weights.close());
    const tokenizer = await Tokenizer.load(base.folder);
    const start = job.adapterPath === null ? null : await readAdapter(this.#deps.files(job.adapterPath));
    const lora = loraSettings(this.#config, start);
    ModelManager.checkLora(base, lora);
    const dataset = await this.#loadData(
      new DataManager({ files, tokenizer, chatTemplate: await this.#template() }),
    );
    for (const message of warnings(dataset, base, tokenizer)) yield { type: "warning", message };
    this.#signal.throwIfAborted();

    yield { type: "phase", message: "planning" };
    const gpu = await openGpu({ ...this.#deps.gpu, requireHardware: job.requireGpu });
    closers.push(() => gpu.close());
    const data = { train: dataset.train, eval: dataset.eval, padId: tokenizer.padTokenId };
    const variants = chooseVariants(gpu);
    const planned = (limits: BatchLimits) => {
      const model = this.#models.plan(base, lora, { gpu, variants, limits });
      model.plan();
      return model;
    };
    const limits = batchLimits(data, training);
    const model = planned(limits);
    closers.push(() => model.destroy());
    if (start) ModelManager.checkAdapter(model, start);
    const memory = memoryRows(model);
    const { batchSize, evalBatchSize } = training;
    checkMemory(
      memory,
      { batchSize, evalBatchSize, length: limits.length },
      gpu,
      { limitGb: job.memoryLimitGb, availableBytes: this.#deps.availableMemoryBytes },
      (smaller) =>
        memoryRows(planned({
          rows: Math.max(smaller.batchSize, smaller.evalBatchSize),
          trainRows: smaller.batchSize,
          length: smaller.length,
        })),
    );
    const steps = countSteps(dataset.train.length, training);
    const run = { base, dataset, data, start, lora, gpu, variants, model, steps, memory };
    yield { type: "started", summary: runSummary(this.#config, run) };
    return run;
  }

  async *#train({ base, data, start, model, gpu }: PreparedRun): AsyncGenerator<TrainingEvent> {
    yield { type: "phase", message: "loading the base model" };
    model.allocate();
    await model.decoder.load(base.weights);
    const { seed } = this.#config.training;
    this.#models.initialise(model, start ? { kind: "adapter", adapter: start } : { kind: "seed", seed });
    yield { type: "phase", message: "compiling kernels" };
    if (await this.#output.exists(METRICS_FILE)) await this.#output.remove(METRICS_FILE);
    const metrics = new MetricsLog(this.#output);
    try {
      for await (const event of new ModelTrainer(model, data, this.#config.training).train(this.#signal)) {
        await metrics.add(event);
        this.#progress.note(event);
        yield event;
      }
    } finally {
      await metrics.flush();
    }
    gpu.check();
  }

  async *#save(run: PreparedRun): AsyncGenerator<TrainingEvent> {
    const { job, training } = this.#config;
    yield { type: "phase", message: "saving" };
    const adapter = await trainedAdapter(run);
    const facts = await cardFacts(this.#config, run, this.#progress);
    if (job.save !== "merged") {
      const folder = this.#output.folder("adapter");
      await saveAdapter(folder, adapter, facts);
      yield { type: "saved", what: "adapter", path: folder.uri };
    }
    if (job.save !== "adapter") {
      const folder = this.#output.folder("merged");
      await saveMerged(folder, adapter, run, facts);
      yield { type: "phase", message: "reading the merged model back" };
      await checkMerged(folder, run, training, this.#signal);
      yield { type: "saved", what: "merged", path: folder.uri };
    }
  }

  /** Refuses a folder that holds files, unless overwriting was asked for, and one that cannot be written to. */
  async #checkOutput(): Promise<void> {
    const { job } = this.#config;
    const folders = [this.#output, this.#output.folder("adapter"), this.#output.folder("merged")];
    const found = (await Promise.all(folders.map((folder) => folder.list()))).flat();
    if (found.length > 0 && !job.overwrite) {
      throw new ConfigError([{
        path: "output_dir",
        message: `"${job.outputDir}" holds files already (${found.slice(0, 3).join(", ")}): ` +
          "choose another output_model_name or output_dir, or set overwrite",
      }]);
    }
    if (this.#deps.dryRun) return;
    const probe = await this.#output.create(RUN_FILE);
    await probe.abort();
  }

  #record(run: PreparedRun, status: RunRecord["status"], error: string | null = null): Promise<void> {
    return writeRunRecord(this.#output, runRecord(this.#config, run, this.#progress, status, error));
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
      maxLength: training.maxLength,
      seed: training.seed,
    });
  }
}

/** An adapter to continue from brings its own rank, alpha and targets. */
function loraSettings({ lora }: FineTuneJobConfig, start: Adapter | null): LoraSettings {
  if (!start) return { rank: lora.r, alpha: lora.alpha, targetModules: lora.targetModules };
  const { rank, alpha, targetModules } = start.config;
  const pathOf = (key: string) => key.replace(/^base_model\.model\.|\.lora_[AB]\.weight$/g, "");
  return { rank, alpha, targetModules: targetModules ?? [...new Set([...start.tensors.keys()].map(pathOf))] };
}

function warnings(dataset: Dataset, { config }: BaseModel, tokenizer: Tokenizer): string[] {
  const found = [...dataset.warnings];
  const longest = [...dataset.train, ...dataset.eval].reduce(
    (most, { inputIds }) => Math.max(most, inputIds.length),
    0,
  );
  if (longest > config.maxPositionEmbeddings) {
    found.push(
      `rows of up to ${longest} tokens exceed the ${config.maxPositionEmbeddings} positions ` +
        "that the base model was trained on: lower max_length",
    );
  }
  if (tokenizer.vocabSize > config.vocabSize) {
    found.push(`the tokenizer knows ${tokenizer.vocabSize} tokens and the model ${config.vocabSize}`);
  }
  return found;
}
