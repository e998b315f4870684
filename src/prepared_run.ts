/**
 * What a job knows before its first step, and the records made of it and of the run's progress: the summary shown at the
 * start, run.json, the model card.
 *
 * @module
 */
import type { Adapter } from "./checkpoint/adapter.ts";
import { type ModelCardFacts, readLicense } from "./checkpoint/model_card.ts";
import { ruleNotes } from "./checkpoint/lora_settings.ts";
import type { ResidualWeights } from "./checkpoint/residual_weights.ts";
import type { Checkpoint } from "./checkpoint/resume.ts";
import type { RunIdentity } from "./checkpoint/resume_record.ts";
import { type FineTuneJobConfig, toWire, type TrainingConfig } from "./config.ts";
import { loraMethod } from "./config/lora_kind.ts";
import { countTargets } from "./data/token_rows.ts";
import type { Tokenizer } from "./data/tokenizer.ts";
import type { DataReport, Dataset } from "./data_manager.ts";
import type { Gpu } from "./gpu/device.ts";
import type { MemoryRow, RunSummary } from "./job.ts";
import { type BaseModel, type LoraSettings, ModelManager } from "./model_manager.ts";
import type { TrainableModel } from "./models/trainable_model.ts";
import type { Variants } from "./nn/variants.ts";
import { redactedData } from "./redact.ts";
import type { RunRecord } from "./run_files.ts";
import type { Progress } from "./run_progress.ts";
import { batchLimits, type StepCount, type TrainerData } from "./trainer.ts";
import type { TrainerFacts } from "./training_session.ts";
import type { OwnPrompt } from "./samples.ts";
import type { RecordedKernels } from "./tuning/recorded.ts";
import { runtimeVersion, VERSION } from "./version.ts";

/** What a run is made of, whatever GPU it will run on. */
export interface RunInputs {
  /** The base model as its files have it, and as it is kept on the GPU: quantised where that is asked for. */
  readonly opened: BaseModel;
  readonly base: BaseModel;
  readonly dataset: Dataset;
  readonly data: TrainerData;
  readonly tokenizer: Tokenizer;
  /** Ids that end an answer. */
  readonly stopTokenIds: ReadonlySet<number>;
  /** Prompts of the user's own, to be answered before, between and after. */
  readonly samplePrompts: readonly OwnPrompt[];
  /** The checkpoint to go on from; null for a run from its start. */
  readonly checkpoint: Checkpoint | null;
  /** The adapter to continue from: of the checkpoint, or of an earlier run. */
  readonly start: Adapter | null;
  /** Reads the adapter that a start anew continues from; null where there is none. */
  readonly readStart: () => Promise<Adapter | null>;
  readonly lora: LoraSettings;
  /** What is left of the base where the updates begin with a part of it. */
  readonly residual: ResidualWeights | null;
  readonly steps: StepCount;
  readonly identity: Omit<RunIdentity, "gpu">;
}

/** Everything known before the first step. */
export interface PreparedRun extends RunInputs {
  readonly gpu: Gpu;
  readonly variants: Variants;
  /** Planned; on the GPU once training starts. */
  readonly model: TrainableModel;
  /** Blocks whose activations backward computes again. */
  readonly recompute: number;
  readonly memory: readonly MemoryRow[];
  readonly identity: RunIdentity;
}

/** What is shown before the first step. */
export function runSummary(
  { job, training }: FineTuneJobConfig,
  { base, data, dataset, lora, steps }: RunInputs,
  facts: TrainerFacts,
): RunSummary {
  const { device, choices = [], memory = [], recomputedBlocks: recompute = 0 } = facts;
  const blocks = base.config.numHiddenLayers;
  return {
    baseModel: base.uri,
    modelType: base.config.modelType,
    totalParameters: ModelManager.countParameters(base),
    trainableParameters: facts.trainableParameters,
    adapter: device.name,
    softwareAdapter: device.software,
    choices: [
      ...choices,
      `${loraMethod(lora)} rank ${lora.rank}, alpha ${lora.alpha}, on ${
        [lora.targetModules].flat().join(", ")
      }` +
      (job.adapterPath === null ? "" : ", as the adapter to continue from has them"),
      ...updateNotes(lora, training),
      ...(data.packs
        ? [
          `${dataset.train.length} examples packed into ${data.packs.length} rows of ${training.maxLength} tokens`,
        ]
        : []),
      ...(recompute > 0
        ? [`activations of ${recompute} of ${blocks} blocks computed again to save memory`]
        : []),
    ],
    trainExamples: dataset.train.length,
    evalExamples: dataset.eval.length,
    trainableTokensPerEpoch: countTargets(dataset.train),
    totalSteps: steps.totalSteps,
    stepsPerEpoch: steps.stepsPerEpoch,
    effectiveBatchSize: training.effectiveBatchSize,
    memory,
  };
}

/** What is special about the updates, by the names of the options. */
function updateNotes(lora: LoraSettings, { loraplusLrRatio }: TrainingConfig): string[] {
  return [
    ...ruleNotes(lora),
    ...(lora.init === undefined ? [] : [`init_lora_weights ${lora.init}`]),
    ...(loraplusLrRatio === 1 ? [] : [`loraplus_lr_ratio ${loraplusLrRatio}`]),
  ];
}

/** How a run stands. */
export interface RunState {
  readonly progress: Progress;
  readonly status: RunRecord["status"];
  readonly error: string | null;
}

/** The content of run.json, without secrets. */
export function runRecord(
  config: FineTuneJobConfig,
  { base, dataset, data, steps }: RunInputs,
  { device, kernels, trainableParameters, recomputedBlocks = 0 }: TrainerFacts,
  { progress, status, error }: RunState,
): RunRecord {
  return redactedData({
    status,
    config: toWire(config),
    seed: config.training.seed,
    started_at: progress.startedAt.toISOString(),
    finished_at: status === "running" ? null : new Date().toISOString(),
    versions: { lowrank: VERSION, runtime: runtimeVersion() },
    adapter: { name: device.name, software: device.software },
    ...(kernels ? { kernels: kernels as unknown as RecordedKernels } : {}),
    base_model: {
      path: base.uri,
      model_type: base.config.modelType,
      parameters: ModelManager.countParameters(base),
      trainable_parameters: trainableParameters,
      quantization: ModelManager.packing(base),
    },
    data: [dataset.report, dataset.evalReport].filter((report) => report !== null).map(dataRecord),
    micro_batch: {
      rows: config.training.batchSize,
      length: batchLimits(data, config.training).length,
      recomputed_blocks: recomputedBlocks,
    },
    total_steps: steps.totalSteps,
    steps: progress.steps,
    eval_loss_before: progress.evalLossBefore,
    eval_loss_after: progress.evalLossAfter,
    exact_match_before: progress.exactMatchBefore,
    exact_match_after: progress.exactMatchAfter,
    merged: progress.merged,
    error,
    device_recoveries: progress.recoveries,
  });
}

function dataRecord(report: DataReport): RunRecord["data"][number] {
  const { file, sha256, rows, skipped, skippedLines, kept, cut, dropped, tokens, trainedTokens } = report;
  const counts = { rows, kept, cut, dropped, tokens, trained_tokens: trainedTokens };
  if (skipped === 0) return { file, sha256, ...counts };
  const lines = skippedLines.map(({ file, line, message }) => ({ file, line: line!, message }));
  return { file, sha256, ...counts, skipped, skipped_lines: lines };
}

/** What the model cards say; `kind` is set by who writes one. */
export async function cardFacts(
  { job, training }: FineTuneJobConfig,
  { base, dataset, lora, steps }: RunInputs,
  { device }: TrainerFacts,
  progress: Progress,
): Promise<Omit<ModelCardFacts, "kind">> {
  const cardFile = ({ file, sha256 }: DataReport, examples: number) => {
    return { name: file.slice(file.lastIndexOf("/") + 1), sha256, examples };
  };
  return redactedData({
    name: job.outputModelName,
    baseModel: base.uri,
    baseLicense: await readLicense(base.folder),
    baseFormat: ModelManager.packing(base),
    evalLossBefore: progress.evalLossBefore,
    evalLossAfter: progress.evalLossAfter,
    merged: progress.merged,
    steps: progress.steps,
    epochs: steps.totalEpochs,
    tokens: progress.tokens,
    effectiveBatchSize: training.effectiveBatchSize,
    learningRate: training.learningRate,
    schedule: training.lrSchedulerType,
    method: loraMethod(lora),
    rank: lora.rank,
    alpha: lora.alpha,
    dropout: lora.dropout ?? 0,
    targetModules: lora.targetModules,
    targetNotes: updateNotes(lora, training),
    seed: training.seed,
    trainFile: cardFile(dataset.report, dataset.train.length),
    evalFile: dataset.evalReport && cardFile(dataset.evalReport, dataset.eval.length),
    device: { name: device.name, software: device.software },
    seconds: progress.seconds,
    versions: { Lowrank: VERSION, Runtime: runtimeVersion() },
  });
}
