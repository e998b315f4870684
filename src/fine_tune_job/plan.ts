/**
 * Putting a run on a GPU: which one, with which kernels, and whether it fits. Nothing is allocated yet.
 *
 * @module
 */
import type { FineTuneJobConfig, QuantizationConfig } from "../config.ts";
import { type Gpu, openGpu, requireHardware } from "../gpu/device.ts";
import { PipelineCache } from "../gpu/pipelines.ts";
import type { QuantizationPlan, TrainingEvent } from "../job.ts";
import { fitPlan, planQuantizations } from "../memory_plan.ts";
import { ModelManager, type PlannedModel } from "../model_manager.ts";
import type { BatchLimits } from "../models/trainable_model.ts";
import { chooseVariants, type Variants } from "../nn/variants.ts";
import { momentCount } from "../optim/optimizer.ts";
import type { PreparedRun, RunInputs } from "../prepared_run.ts";
import { resumeWarnings } from "../run_checkpoints.ts";
import { batchLimits, typicalTokens } from "../trainer.ts";
import { type RunTiles, tilesOf, variantsForRun } from "../tuning/for_run.ts";
import { modelWork } from "../tuning/model_work.ts";
import type { Closers, FineTuneJobDeps, OpenDevice } from "./deps.ts";

/** Pauses before a lost GPU is asked for again: its driver may have to start anew. */
const REOPENING_PAUSES_MS = [0, 500, 2000, 5000];

/**
 * Chooses kernels and plans the memory. The model planned is destroyed by `closers`.
 *
 * @throws {GpuMemoryError} If the run will not fit. @throws {ConfigError} If it cannot be run in the variant asked for.
 */
export async function* planRun(
  config: FineTuneJobConfig,
  deps: FineTuneJobDeps,
  inputs: RunInputs,
  device: OpenDevice,
  closers: Closers,
): AsyncGenerator<TrainingEvent, PreparedRun> {
  const { job, training } = config;
  const { opened, base, data, checkpoint, start, lora, residual } = inputs;
  const { gpu } = device;
  yield { type: "phase", message: "choosing kernels" };
  const variants = await chooseKernels(config, deps, inputs, device);
  const { neftuneNoiseAlpha: neftuneAlpha, seed } = training;
  const models = new ModelManager(deps.files);
  const planOf = (planned: PlannedModel, limits: BatchLimits) => {
    const model = models.plan(planned, lora, { ...device, variants, limits, neftuneAlpha, seed });
    model.pool.momentCount = momentCount(training);
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
    memory: { limitGb: job.memoryLimitGb, availableBytes: deps.availableMemoryBytes },
  };
  if (deps.dryRun && ModelManager.packing(opened) === null) {
    const quantizations = planQuantizations({
      ...request,
      plan: (word, some) => planOf(ModelManager.quantized(opened, quantization(config, word)), some),
    });
    yield { type: "planned", quantizations };
  }
  const { model, recompute, rows: memory } = fitPlan({
    ...request,
    sizes: { batchSize, evalBatchSize, length: limits.length },
    plan: (some) => planOf(residual ? { ...base, weights: residual } : base, some),
  });
  closers.push(() => model.destroy());
  closers.push(() => gpu.settle().catch(() => {})); // a stopped run leaves work behind
  if (start) ModelManager.checkAdapter(model, start);
  const identity = { ...inputs.identity, gpu: gpu.name, tiles: tilesOf(variants) };
  for (const message of checkpoint ? resumeWarnings(checkpoint.record, identity) : []) {
    yield { type: "warning", message };
  }
  return { ...inputs, gpu, variants, model, recompute, memory, identity };
}

/**
 * The GPU to run on: the one given, or one of the job's own that `closers` close.
 *
 * @param lost The GPU that the run has lost; another is opened then, hardware if that was.
 * @throws {GpuUnavailableError} If there is none, or only a software adapter where hardware is required.
 */
export async function openDevice(
  { job: { gpu: adapter, requireGpu } }: FineTuneJobConfig,
  { device: given, gpu: options, signal }: FineTuneJobDeps,
  closers: Closers,
  lost: Gpu | null,
): Promise<OpenDevice> {
  if (given && !lost) {
    if (requireGpu) requireHardware(given.gpu);
    return given;
  }
  const isHardware = requireGpu || lost?.software === false;
  const open = () => openGpu({ ...options, adapter, requireHardware: isHardware });
  const gpu = lost ? await reopened(open, signal) : await open();
  closers.push(() => gpu.close());
  return { gpu, pipelines: new PipelineCache(gpu) };
}

async function reopened(open: () => Promise<Gpu>, signal: AbortSignal | undefined): Promise<Gpu> {
  let problem: unknown;
  for (const pause of REOPENING_PAUSES_MS) {
    await new Promise((done) => setTimeout(done, pause));
    signal?.throwIfAborted();
    try {
      return await open();
    } catch (error) {
      problem = error;
    }
  }
  throw problem;
}

function chooseKernels(
  { job, training }: FineTuneJobConfig,
  { dryRun = false, tuning, signal }: FineTuneJobDeps,
  { base, data, checkpoint, lora, steps, identity }: RunInputs,
  { gpu, pipelines }: OpenDevice,
): Promise<Variants> {
  return variantsForRun({
    gpu,
    pipelines,
    setting: job.variant,
    work: modelWork(base.family, base.config, {
      tokens: typicalTokens(data, training),
      rank: lora.rank,
      logitBytes: chooseVariants(gpu).logitBytes,
    }),
    microBatches: dryRun ? 0 : steps.totalSteps * training.gradientAccumulationSteps,
    tiles: (checkpoint?.record.tiles ?? identity.tiles) as RunTiles | undefined ?? null,
    folder: tuning ?? null,
    retune: job.retune && !dryRun,
    ...(signal ? { signal } : {}),
  });
}

/** The configured quantisation in another number of bits. */
function quantization(
  { quantization }: FineTuneJobConfig,
  word: QuantizationPlan["quantization"],
): QuantizationConfig {
  return { ...quantization, loadIn4bit: word === "4bit", loadIn8bit: word === "8bit" };
}
