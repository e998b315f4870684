/**
 * Lowrank: fine-tune language models with LoRA on any GPU, through WebGPU.
 *
 * The whole pipeline is {@link FineTuneJob}; its parts work alone too: {@link ModelManager}, {@link DataManager},
 * {@link ModelTrainer}, {@link LanguageModel}, which writes, the file formats and the tokenizer. Folders come in through
 * the {@link Folder} interface;
 * `lowrank/storage/local` has the one for Deno's disk.
 *
 * ```ts ignore
 * import { createFineTuneJob, parseFineTuneJobConfig } from "lowrank";
 * import { LocalFolder } from "lowrank/storage/local";
 *
 * const config = parseFineTuneJobConfig({
 *   base_model: "models/smollm2",
 *   training_data_path: "train.jsonl",
 *   output_model_name: "assistant",
 * });
 * for await (const event of createFineTuneJob(config, { files: (uri) => new LocalFolder(uri) }).run()) {
 *   console.log(event);
 * }
 * ```
 *
 * @module
 */
export {
  type FineTuneJobConfig,
  type JobConfig,
  type LoraConfig,
  parseFineTuneJobConfig,
  type QuantizationConfig,
  toWire,
  type TrainingConfig,
} from "./config.ts";
export * from "./errors.ts";
export { createFineTuneJob, FineTuneJob, type FineTuneJobDeps } from "./fine_tune_job.ts";
export type { JobStatus, MemoryRow, RunSummary, TrainingEvent } from "./job.ts";
export {
  DISABLED_TRACKER,
  type JobMetadata,
  type JobRecord,
  type JobRecordStore,
  type JobTracker,
  type JobUpdate,
  type TrackerReport,
} from "./job_tracker.ts";
export { MemoryJobRecords } from "./job_tracker/memory.ts";
export { QueuedTracker, type QueuedTrackerOptions } from "./job_tracker/queued.ts";
export type {
  Checksum,
  FolderTransferOptions,
  OpenedUri,
  OpenStorage,
  StorageManager,
  StoredFile,
  TransferOptions,
  TransferProgress,
  TransferSummary,
  UploadOptions,
  WriteCondition,
} from "./storage_manager.ts";
export { MemoryStorageManager } from "./storage/memory_store.ts";
export { type FileReader, type FileWriter, type Folder, readText, writeFile } from "./storage.ts";
export { MemoryFolder } from "./storage/memory.ts";

export { type BaseModel, type InitialParameters, type LoraSettings, ModelManager } from "./model_manager.ts";
export { DataManager, type DataReport, type Dataset, type LoadOptions } from "./data_manager.ts";
export { LanguageModel, type LanguageModelOptions } from "./language_model.ts";
export {
  type AnsweredRow,
  evaluateModel,
  type EvaluationEvent,
  type EvaluationOptions,
  type EvaluationSummary,
  type Measured,
  type Metric,
  type Scores,
} from "./evaluation.ts";
export { type ExactMatch, exactMatch, type ExpectedAnswer } from "./generate/exact_match.ts";
export {
  type GeneratedToken,
  type GenerateOptions,
  Generator,
  type StopReason,
} from "./generate/generator.ts";
export type { SamplingOptions } from "./generate/sampling.ts";
export { generateText, type TextOptions, type TextPiece } from "./generate/text.ts";
export { type EvalResult, ModelTrainer, type TrainerData } from "./trainer.ts";
export { Tokenizer } from "./data/tokenizer.ts";

export {
  type Adapter,
  type AdapterTensor,
  loraUpdates,
  readAdapter,
  writeAdapter,
} from "./checkpoint/adapter.ts";
export { mergeModel, type MergeOptions } from "./checkpoint/merge.ts";
export { SafetensorsFile, type TensorInfo, writeSafetensors } from "./checkpoint/safetensors.ts";
export { type ModelWeights, WeightFiles } from "./checkpoint/weight_files.ts";
export { BitsandbytesWeights, isBitsandbytes } from "./checkpoint/bitsandbytes.ts";
export { GgufFile, type GgufTensorInfo, type GgufValue } from "./checkpoint/gguf.ts";
export { type GgufModel, openGgufModel } from "./checkpoint/gguf_model.ts";

export { exportGguf, type GgufExport, type GgufModelOptions } from "./export/gguf_model.ts";
export { exportGgufLora, type GgufLoraOptions } from "./export/gguf_lora.ts";
export { exportOnnx, type OnnxExport, type OnnxModelOptions } from "./export/onnx_model.ts";
export { type ExportRequest, type ExportSource, openExportSource } from "./export/source.ts";

export { Gpu, openGpu, type OpenGpuOptions } from "./gpu/device.ts";
export { chooseVariants, VARIANTS, type Variants } from "./nn/variants.ts";
export { VERSION } from "./version.ts";
