/**
 * A fine-tuning job from configuration to files: check everything that can be checked, plan, train, save, and read back
 * what was saved. One stream of events tells all of it.
 *
 * @module
 */
import { type Adapter, loraUpdates, readAdapter, writeAdapter } from "./checkpoint/adapter.ts";
import { mergeModel } from "./checkpoint/merge.ts";
import { MODEL_CARD_FILE, modelCard, type ModelCardFacts, readLicense } from "./checkpoint/model_card.ts";
import { type FineTuneJobConfig, toWire } from "./config.ts";
import { Tokenizer } from "./data/tokenizer.ts";
import { DataManager, type Dataset } from "./data_manager.ts";
import { ConfigError } from "./errors.ts";
import { type Gpu, openGpu, type OpenGpuOptions } from "./gpu/device.ts";
import type { MemoryRow, RunSummary, TrainingEvent } from "./job.ts";
import { checkMemory, memoryRows } from "./memory_plan.ts";
import { type BaseModel, type LoraSettings, ModelManager } from "./model_manager.ts";
import type { LoraModel } from "./models/lora_model.ts";
import { chooseVariants, type Variants } from "./nn/variants.ts";
import { METRICS_FILE, MetricsLog, type RunRecord, writeRunRecord } from "./run_files.ts";
import { type Folder, readText, writeFile } from "./storage.ts";
import { batchLimits, countSteps, ModelTrainer, type StepCount, type TrainerData } from "./trainer.ts";
import { runtimeVersion, VERSION } from "./version.ts";

/** Rows on which the merged model is compared with base and adapter. */
const MERGE_CHECK_ROWS = 8;

/** Relative difference of losses between adapter and merged model, by the base's widest rounding. */
const MERGE_TOLERANCE = { F32: 1e-4, F16: 1e-2, BF16: 3e-2 } as const;

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

/** Everything known before the first step. */
interface Prepared {
  readonly base: BaseModel;
  readonly dataset: Dataset;
  readonly data: TrainerData;
  readonly start: Adapter | null;
  readonly lora: LoraSettings;
  readonly gpu: Gpu;
  readonly variants: Variants;
  readonly model: LoraModel;
  readonly steps: StepCount;
  readonly memory: readonly MemoryRow[];
}

/** What training left. */
interface Outcome {
  steps: number;
  tokens: number;
  evalLossBefore: number | null;
  evalLossAfter: number | null;
}

/** A job ready to run. */
export function createFineTuneJob(config: FineTuneJobConfig, deps: FineTuneJobDeps): FineTuneJob {
  return new FineTuneJob(config, deps);
}

export class FineTuneJob {
  readonly #config: FineTuneJobConfig;
  readonly #deps: FineTuneJobDeps;
  readonly #signal: AbortSignal;
  readonly #output: Folder;
  readonly #startedAt = new Date();
  readonly #outcome: Outcome = { steps: 0, tokens: 0, evalLossBefore: null, evalLossAfter: null };

  constructor(config: FineTuneJobConfig, deps: FineTuneJobDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#signal = deps.signal ?? new AbortController().signal;
    this.#output = deps.files(config.job.outputDir);
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
    const closers: (() => void | Promise<void>)[] = [];
    try {
      const prepared = yield* this.#prepare(closers);
      if (this.#deps.dryRun) return;
      try {
        await this.#record(prepared, "running");
        yield* this.#train(prepared);
        yield* this.#save(prepared);
        await this.#record(prepared, "completed");
      } catch (error) {
        const status = this.#signal.aborted ? "cancelled" : "failed";
        await this.#record(prepared, status, error instanceof Error ? error.message : String(error));
        throw error;
      }
      yield {
        type: "finished",
        status: "completed",
        steps: this.#outcome.steps,
        seconds: this.#seconds(),
        evalLossBefore: this.#outcome.evalLossBefore,
        evalLossAfter: this.#outcome.evalLossAfter,
      };
    } finally {
      for (const close of closers.reverse()) await close();
    }
  }

  /** Checks and plans in the order of cost: output folder, data lines, model files, tokens, GPU, memory. */
  async *#prepare(closers: (() => void | Promise<void>)[]): AsyncGenerator<TrainingEvent, Prepared> {
    const { job, training } = this.#config;
    if (!this.#deps.dryRun) await this.#checkOutput();
    yield { type: "phase", message: "checking the data" };
    const files = (uri: string) => this.#fileOf(uri);
    const paths = [job.trainingDataPath, job.evalDataPath].filter((path) => path !== null);
    for (const path of paths) await new DataManager({ files }).validate(path, training.dataFormat);

    yield { type: "phase", message: "reading the base model" };
    const manager = new ModelManager(this.#deps.files);
    const base = await manager.open(job.baseModel);
    closers.push(() => base.weights.close());
    const tokenizer = await Tokenizer.load(base.folder);
    const start = job.adapterPath === null ? null : await readAdapter(this.#deps.files(job.adapterPath));
    const dataset = await this.#loadData(
      new DataManager({ files, tokenizer, chatTemplate: await this.#template() }),
    );
    for (const message of this.#warnings(dataset, base, tokenizer)) yield { type: "warning", message };
    const data = { train: dataset.train, eval: dataset.eval, padId: tokenizer.padTokenId };
    this.#signal.throwIfAborted();

    yield { type: "phase", message: "planning" };
    const gpu = await openGpu({ ...this.#deps.gpu, requireHardware: job.requireGpu });
    closers.push(() => gpu.close());
    const variants = chooseVariants(gpu);
    const lora = loraSettings(this.#config, start);
    const model = manager.plan(base, lora, { gpu, variants, limits: batchLimits(data, training) });
    closers.push(() => model.destroy());
    model.plan();
    const memory = memoryRows(model);
    checkMemory(memory, gpu, job.memoryLimitGb, this.#deps.availableMemoryBytes, training.batchSize);
    const steps = countSteps(dataset.train.length, training);
    const prepared = { base, dataset, data, start, lora, gpu, variants, model, steps, memory };
    yield { type: "started", summary: this.#summary(prepared) };
    return prepared;
  }

  async *#train({ base, data, start, model, gpu }: Prepared): AsyncGenerator<TrainingEvent> {
    yield { type: "phase", message: "loading the base model" };
    model.allocate();
    await model.decoder.load(base.weights);
    const { seed } = this.#config.training;
    const manager = new ModelManager(this.#deps.files);
    manager.initialise(model, start ? { kind: "adapter", adapter: start } : { kind: "seed", seed });
    yield { type: "phase", message: "compiling kernels" };
    const metrics = new MetricsLog(this.#output);
    try {
      for await (const event of new ModelTrainer(model, data, this.#config.training).train(this.#signal)) {
        await metrics.add(event);
        this.#note(event);
        yield event;
      }
    } finally {
      await metrics.flush();
    }
    gpu.check();
  }

  #note(event: TrainingEvent): void {
    if (event.type === "step") {
      this.#outcome.steps = event.step;
      this.#outcome.tokens = event.tokens;
    } else if (event.type === "evaluated") {
      if (event.step === 0) this.#outcome.evalLossBefore = event.evalLoss;
      else this.#outcome.evalLossAfter = event.evalLoss;
    }
  }

  /** Writes the adapter and what was asked for, each read back before it counts as saved. */
  async *#save(prepared: Prepared): AsyncGenerator<TrainingEvent> {
    const { job } = this.#config;
    const { model, lora, base } = prepared;
    yield { type: "phase", message: "saving" };
    const tensors = new Map(
      [...await model.pool.read()].map(([name, data], i) => {
        return [name, { shape: model.pool.parameters[i]!.value.shape, data }];
      }),
    );
    const { rank, alpha, targetModules } = lora;
    const adapter: Adapter = {
      config: { baseModel: base.uri, rank, alpha, dropout: 0, targetModules },
      tensors,
    };
    const facts = await this.#cardFacts(prepared);
    if (job.save !== "merged") {
      const folder = this.#output.folder("adapter");
      await writeAdapter(folder, adapter);
      await writeCard(folder, { ...facts, kind: "adapter" });
      assertSame(adapter, await readAdapter(folder), folder.uri);
      yield { type: "saved", what: "adapter", path: folder.uri };
    }
    if (job.save !== "adapter") {
      const out = this.#output.folder("merged");
      await mergeModel({ base: base.weights, baseFolder: base.folder, out, updates: loraUpdates(adapter) });
      await writeCard(out, { ...facts, kind: "merged" });
      yield { type: "phase", message: "reading the merged model back" };
      await this.#checkMerged(prepared, out.uri);
      yield { type: "saved", what: "merged", path: out.uri };
    }
  }

  /** Loads the merged model as a base of its own; its loss must be that of base and adapter. */
  async #checkMerged({ data, gpu, variants, model, base }: Prepared, uri: string): Promise<void> {
    const rows = (data.eval.length > 0 ? data.eval : data.train).slice(0, MERGE_CHECK_ROWS);
    const { training } = this.#config;
    const want = await new ModelTrainer(model, data, training).evaluate(rows, this.#signal);
    model.destroy();
    const manager = new ModelManager(this.#deps.files);
    const merged = await manager.open(uri);
    const limits = batchLimits({ ...data, train: rows, eval: [] }, training);
    const check = manager.plan(merged, null, { gpu, variants, limits });
    try {
      check.plan(["evaluate"]);
      check.allocate();
      await check.decoder.load(merged.weights);
      const got = await new ModelTrainer(check, data, training).evaluate(rows, this.#signal);
      const dtypes = new Set([...base.weights.infos.values()].map(({ dtype }) => dtype));
      const widest = dtypes.has("BF16") ? "BF16" : dtypes.has("F16") ? "F16" : "F32";
      if (!(Math.abs(got.loss - want.loss) <= MERGE_TOLERANCE[widest] * want.loss)) {
        throw new Error(
          `The merged model in "${uri}" does not compute what base and adapter compute: ` +
            `loss ${got.loss} against ${want.loss} on ${rows.length} rows. The adapter is saved and intact; do not use the merged model`,
        );
      }
    } finally {
      check.destroy();
      await merged.weights.close();
    }
  }

  /** @throws {ConfigError} If there are files and overwriting was not asked for. @throws {StorageDeniedError} */
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
    if (found.includes(METRICS_FILE)) await this.#output.remove(METRICS_FILE);
    const probe = await this.#output.create("run.json");
    await probe.abort();
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

  #warnings(dataset: Dataset, base: BaseModel, tokenizer: Tokenizer): string[] {
    const warnings = [...dataset.warnings];
    const { maxPositionEmbeddings, vocabSize } = base.config;
    const longest = Math.max(...[...dataset.train, ...dataset.eval].map(({ inputIds }) => inputIds.length));
    if (longest > maxPositionEmbeddings) {
      warnings.push(
        `rows of up to ${longest} tokens exceed the ${maxPositionEmbeddings} positions that the base model was trained on: lower max_length`,
      );
    }
    if (tokenizer.vocabSize > vocabSize) {
      warnings.push(`the tokenizer knows ${tokenizer.vocabSize} tokens and the model ${vocabSize}`);
    }
    return warnings;
  }

  #summary({ base, dataset, lora, gpu, variants, model, steps, memory }: Prepared): RunSummary {
    const { training } = this.#config;
    return {
      baseModel: base.uri,
      modelType: base.config.modelType,
      totalParameters: ModelManager.countParameters(base),
      trainableParameters: model.pool.size,
      adapter: gpu.name,
      softwareAdapter: gpu.software,
      choices: [
        variants.reason,
        `LoRA rank ${lora.rank}, alpha ${lora.alpha}, on ${[lora.targetModules].flat().join(", ")}`,
      ],
      trainExamples: dataset.train.length,
      evalExamples: dataset.eval.length,
      trainableTokensPerEpoch: dataset.train.reduce(
        (sum, { labels }) =>
          sum + labels.subarray(1).reduce((count, label) => count + (label >= 0 ? 1 : 0), 0),
        0,
      ),
      totalSteps: steps.totalSteps,
      stepsPerEpoch: steps.stepsPerEpoch,
      effectiveBatchSize: training.effectiveBatchSize,
      memory,
    };
  }

  async #record(prepared: Prepared, status: RunRecord["status"], error: string | null = null): Promise<void> {
    const { base, dataset, gpu, model, steps } = prepared;
    await writeRunRecord(this.#output, {
      status,
      config: toWire(this.#config),
      seed: this.#config.training.seed,
      started_at: this.#startedAt.toISOString(),
      finished_at: status === "running" ? null : new Date().toISOString(),
      versions: { lowrank: VERSION, runtime: runtimeVersion() },
      adapter: { name: gpu.name, software: gpu.software },
      base_model: {
        path: base.uri,
        model_type: base.config.modelType,
        parameters: ModelManager.countParameters(base),
        trainable_parameters: model.pool.size,
      },
      data: [dataset.report, dataset.evalReport].filter((report) => report !== null).map((report) => ({
        file: report.file,
        sha256: report.sha256,
        rows: report.rows,
        kept: report.kept,
        cut: report.cut,
        dropped: report.dropped,
        tokens: report.tokens,
        trained_tokens: report.trainedTokens,
      })),
      total_steps: steps.totalSteps,
      steps: this.#outcome.steps,
      eval_loss_before: this.#outcome.evalLossBefore,
      eval_loss_after: this.#outcome.evalLossAfter,
      error,
    });
  }

  async #cardFacts({ base, dataset, lora, gpu, steps }: Prepared): Promise<Omit<ModelCardFacts, "kind">> {
    const { job, training } = this.#config;
    const fileFacts = ({ file, sha256 }: Dataset["report"], examples: number) => {
      return { name: file.slice(file.lastIndexOf("/") + 1), sha256, examples };
    };
    return {
      name: job.outputModelName,
      baseModel: base.uri,
      baseLicense: await readLicense(base.folder),
      evalLossBefore: this.#outcome.evalLossBefore,
      evalLossAfter: this.#outcome.evalLossAfter,
      steps: this.#outcome.steps,
      epochs: this.#outcome.steps / steps.stepsPerEpoch,
      tokens: this.#outcome.tokens,
      effectiveBatchSize: training.effectiveBatchSize,
      learningRate: training.learningRate,
      schedule: training.lrSchedulerType,
      rank: lora.rank,
      alpha: lora.alpha,
      dropout: 0,
      targetModules: lora.targetModules,
      seed: training.seed,
      trainFile: fileFacts(dataset.report, dataset.train.length),
      evalFile: dataset.evalReport && fileFacts(dataset.evalReport, dataset.eval.length),
      device: { name: gpu.name, software: gpu.software },
      seconds: this.#seconds(),
      versions: { Lowrank: VERSION, Runtime: runtimeVersion() },
    };
  }

  #seconds(): number {
    return (Date.now() - this.#startedAt.getTime()) / 1000;
  }
}

/** An adapter to continue from brings its own rank, alpha and targets. */
function loraSettings({ lora }: FineTuneJobConfig, start: Adapter | null): LoraSettings {
  if (!start) return { rank: lora.r, alpha: lora.alpha, targetModules: lora.targetModules };
  const { rank, alpha, targetModules } = start.config;
  const paths = new Set(
    [...start.tensors.keys()].map((key) => key.replace(/^base_model\.model\.|\.lora_[AB]\.weight$/g, "")),
  );
  return { rank, alpha, targetModules: targetModules ?? [...paths] };
}

async function writeCard(folder: Folder, facts: ModelCardFacts): Promise<void> {
  await writeFile(folder, MODEL_CARD_FILE, modelCard(facts));
}

/** Every value of the file is, bit for bit, what was trained. */
function assertSame(trained: Adapter, saved: Adapter, uri: string): void {
  for (const [name, { data }] of trained.tensors) {
    const read = saved.tensors.get(name)?.data;
    const same = read?.length === data.length &&
      new Uint32Array(read.slice().buffer).every((bits, i) =>
        bits === new Uint32Array(data.buffer, data.byteOffset)[i]
      );
    if (!same) {
      throw new Error(
        `The adapter in "${uri}" does not read back as it was trained: tensor "${name}" differs`,
      );
    }
  }
}
