/**
 * The engine's part of `explain`: plans a run's micro-batch again, times it, and measures what the adapter can do.
 *
 * @module
 */
import { readAdapter } from "../checkpoint/adapter.ts";
import { type FineTuneJobConfig, parseFineTuneJobConfig } from "../config.ts";
import { StorageNotFoundError } from "../errors.ts";
import { byKernel, bySection, bySize, medianTimes } from "../explain/kernel_rows.ts";
import type { RecordedRun } from "../explain/read_run.ts";
import type { ExplainReport, MicroBatchTimes } from "../explain/report.ts";
import type { Roofline } from "../explain/roofline.ts";
import { loraSettings } from "../checkpoint/lora_settings.ts";
import type { OpenDevice } from "../fine_tune_job.ts";
import type { Gpu } from "../gpu/device.ts";
import { memoryCurve } from "../gpu/memory_curve.ts";
import { memoryRows } from "../memory_plan.ts";
import { type BaseModel, type FindModel, ModelManager } from "../model_manager.ts";
import type { ModelBatch, TrainableModel } from "../models/trainable_model.ts";
import type { Variants } from "../nn/variants.ts";
import { momentCount } from "../optim/optimizer.ts";
import { type Plugin, withPlugins } from "../plugin.ts";
import type { Folder } from "../storage.ts";
import { reasonLines } from "../tuning/describe.ts";
import { recordedVariants } from "../tuning/recorded.ts";
import { VERSION } from "../version.ts";
import { measureCopy } from "./copy_rate.ts";
import { measureMatmul } from "../tuning/matmul_rate.ts";

/** What {@link explainRun} needs from the outside. */
export interface ExplainDeps extends OpenDevice {
  /** Opens a folder by its uri. */
  readonly files: (uri: string) => Folder;
  /** Finds the base model by its name; default: the name is the uri of a folder or a GGUF file. */
  readonly findModel?: FindModel;
  /** Those that the run was started with, loaded; default none. */
  readonly plugins?: readonly Plugin[];
  /** Where the base model is, if not where run.json says. */
  readonly baseModel: string | null;
  /** Measures the adapter's best rates; default {@link measureRoofline}. */
  readonly roofline?: (gpu: Gpu, variants: Variants) => Promise<Roofline>;
}

/** All of the report but for the machine, which the caller knows. */
export type MeasuredRun = Omit<ExplainReport, "device" | "madeAt">;

const PROFILES = 3;
const MATMUL_SIZES = [512, 1024, 2048];
/** A measurement of a product runs it about this often. */
const PRODUCTS = 20;
/** Larger products that would take longer are left out. */
const PRODUCT_LIMIT_MS = 5000;

/**
 * Plans and times the run's largest micro-batch.
 *
 * @throws {StorageNotFoundError} If the base model is gone. @throws {ModelFormatError} If it is damaged.
 * @throws {GpuMemoryError} If it does not fit this adapter.
 */
export async function explainRun(
  { uri, record, metrics }: RecordedRun,
  { gpu, pipelines, files, findModel, plugins = [], baseModel, roofline = measureRoofline }: ExplainDeps,
): Promise<MeasuredRun> {
  const config = parseFineTuneJobConfig(record.config, plugins);
  const { rows, length, recomputed_blocks: recompute } = record.micro_batch;
  const manager = new ModelManager(files, findModel, withPlugins(plugins).modelFamilies);
  const base = await openBase(manager, baseModel ?? config.job.baseModel, uri);
  try {
    const { adapter, kernels } = record;
    const variants = recordedVariants({ gpu, adapter: adapter.name, setting: config.job.variant, kernels });
    const model = manager.plan(base, await updatesOf(config, files), {
      gpu,
      pipelines,
      variants,
      limits: { rows, length, recompute },
    });
    model.pool.momentCount = momentCount(config.training);
    const plan = model.planned("train", rows, length);
    const best = gpu.features.has("timestamp-query") ? await roofline(gpu, variants) : null;
    return {
      lowrank: VERSION,
      run: uri,
      record,
      metrics,
      choices: reasonLines(variants.reason),
      microBatch: { rows, length, recomputedBlocks: recompute },
      memoryRows: memoryRows(model),
      memory: memoryCurve(plan),
      times: best && await timesOf(model, base, manager, best, fullBatch(base, rows, length)),
    };
  } finally {
    await base.weights.close();
  }
}

/** The adapter's best product of a few sizes, and its copy rate. */
export async function measureRoofline(gpu: Gpu, variants: Variants): Promise<Roofline> {
  const gigabytes = await measureCopy(gpu);
  let gigaflops = 0, matmulSize = 0;
  for (const size of MATMUL_SIZES) {
    if (gigaflops > 0 && PRODUCTS * 2 * size ** 3 / gigaflops / 1e6 > PRODUCT_LIMIT_MS) break;
    const { median } = (await measureMatmul(gpu, variants, size)).gigaflops;
    if (median > gigaflops) [gigaflops, matmulSize] = [median, size];
  }
  return { gigaflops, matmulSize, gigabytes };
}

async function openBase(manager: ModelManager, path: string, run: string): Promise<BaseModel> {
  try {
    return await manager.open(path);
  } catch (error) {
    if (!(error instanceof StorageNotFoundError)) throw error;
    throw new StorageNotFoundError(
      `Cannot explain "${run}" without its base model: ${error.message}. Start the command in the folder where the ` +
        "run was started, or name the model's folder with --base-model",
      { cause: error },
    );
  }
}

/** The updates as the run trained them: a run that went on from an adapter took that adapter's rank and targets. */
async function updatesOf(config: FineTuneJobConfig, files: (uri: string) => Folder) {
  const { adapterPath } = config.job;
  return loraSettings(config, adapterPath === null ? null : await readAdapter(files(adapterPath)));
}

/** Rows of full length with a target at every position: the most work that a micro-batch of this shape can be. */
function fullBatch({ config: { vocabSize } }: BaseModel, rows: number, length: number): ModelBatch {
  const ids = { length: rows * length };
  return {
    rows,
    length,
    inputIds: Uint32Array.from(ids, (_, i) => (37 * i + 11) % vocabSize),
    targets: Int32Array.from(ids, (_, i) => (37 * i + 48) % vocabSize),
    lengths: new Uint32Array(rows).fill(length),
  };
}

async function timesOf(
  model: TrainableModel,
  base: BaseModel,
  manager: ModelManager,
  roofline: Roofline,
  batch: ModelBatch,
): Promise<MicroBatchTimes> {
  const { gpu } = model.resources;
  try {
    model.allocate();
    await model.decoder.load(base.weights);
    await manager.initialise(model, { kind: "seed", seed: 0 });
    model.clearGradients();
    await model.accumulate(batch, 0); // the first one compiles
    await gpu.settle();
    const wall: number[] = [], profiles = [];
    for (let i = 0; i < PROFILES; i++) {
      const started = performance.now();
      await model.accumulate(batch, 0);
      await gpu.settle();
      wall.push(performance.now() - started);
      profiles.push((await model.profile(batch)).entries);
    }
    gpu.check();
    return summed(medianTimes(profiles), wall.sort((a, b) => a - b)[PROFILES >> 1]!, roofline);
  } finally {
    await gpu.settle().catch(() => {}); // memory is not taken from under running work
    model.destroy();
  }
}

function summed(
  entries: ReturnType<typeof medianTimes>,
  wallMs: number,
  roofline: Roofline,
): MicroBatchTimes {
  const rows = byKernel(entries, roofline);
  const kernelMs = rows.reduce((sum, { ms }) => sum + ms, 0);
  const roofMs = rows.reduce((sum, { ms, roofShare }) => sum + ms * roofShare!, 0);
  return {
    profiles: PROFILES,
    wallMs,
    kernelMs,
    roofline,
    roofShare: kernelMs > 0 ? roofMs / kernelMs : 0,
    sections: bySection(entries),
    byKernel: rows,
    bySize: bySize(entries, roofline),
  };
}
