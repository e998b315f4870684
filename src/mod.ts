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
  type FineTuneJobOptions,
  type JobConfig,
  type JobValues,
  type LoraConfig,
  type LoraValues,
  parseFineTuneJobConfig,
  type PluginNames,
  type PluginPart,
  type QuantizationConfig,
  type QuantizationValues,
  type QuantizationWord,
  toWire,
  type TrainingConfig,
  type TrainingValues,
} from "./config.ts";
export * from "./errors.ts";
export { definePlugin, type Plugin, PLUGIN_API_VERSION } from "./plugin.ts";
export type { Trainer, TrainerFacts, TrainingSession } from "./training_session.ts";
export { type Communicator, RankStoppedError } from "./distributed/communicator.ts";
export { createFineTuneJob, FineTuneJob, type FineTuneJobDeps } from "./fine_tune_job.ts";
export type { OpenDevice } from "./fine_tune_job/deps.ts";
export type {
  JobStage,
  JobStatus,
  MemoryRow,
  MergeBase,
  MergedLosses,
  QuantizationPlan,
  RunSummary,
  Sample,
  TrainingEvent,
} from "./job.ts";
export {
  DISABLED_TRACKER,
  type JobMetadata,
  type JobRecord,
  type JobRecordPage,
  type JobRecordStore,
  type JobRecordWatcher,
  type JobTracker,
  type JobUpdate,
  type TrackerBackend,
  type TrackerReport,
  type WatchableJobRecords,
} from "./job_tracker.ts";
export { updatedRecord } from "./job_tracker.ts";
export { MODEL_FAMILIES, type ModelFamilies, type ModelFamily } from "./models/registry.ts";
export { type BiasSetting, plainFacts, type PlainFamily, withDefaults } from "./models/family_facts.ts";
export { Fields } from "./models/config_fields.ts";
export type { FamilyFacts, FamilySizes } from "./models/family.ts";
export type { StepCount } from "./trainer.ts";
export { ObjectStorageManager } from "./storage/object_storage_manager.ts";
export type {
  Digest,
  ObjectStore,
  OrderedUpload,
  Part,
  PartUpload,
  PutOptions,
  UnorderedUpload,
  UploadInParts,
  UploadStart,
} from "./storage/object_store.ts";
export { MemoryJobRecords } from "./job_tracker/memory.ts";
export { QueuedTracker, type QueuedTrackerOptions } from "./job_tracker/queued.ts";
export type {
  ByteRange,
  Checksum,
  FilePage,
  FolderTransferOptions,
  OpenedUri,
  OpenStorage,
  PageRequest,
  StorageBackend,
  StorageManager,
  StoredFile,
  StreamedUpload,
  TransferOptions,
  TransferProgress,
  TransferSummary,
  UploadNote,
  UploadOptions,
  WriteCondition,
} from "./storage_manager.ts";
export { MemoryStorageManager } from "./storage/memory_store.ts";
export type { RetryPolicy } from "./storage/retry.ts";
export {
  type CopyOptions,
  type FileReader,
  type FileWriter,
  type Folder,
  type FolderLock,
  type FolderWriter,
  type LockMode,
  type ReadableFolder,
  readText,
  type Scratch,
  type WritableFolder,
  writeFile,
} from "./storage.ts";
export { MemoryFolder } from "./storage/memory.ts";

export {
  type BaseModel,
  type FindModel,
  type FindModelOptions,
  type FoundModel,
  type InitialParameters,
  type LoraSettings,
  ModelManager,
} from "./model_manager.ts";
export { ModelSource, type ModelSourceOptions } from "./model_source.ts";
export type { HubState } from "./storage/hub_requests.ts";
export {
  type HubRepository,
  type HubSnapshot,
  HubSnapshots,
  type HubSnapshotsOptions,
  type KeptSnapshot,
} from "./storage/hub_snapshots.ts";
export {
  type CacheEntry,
  type Snapshot,
  SnapshotCache,
  type SnapshotCacheOptions,
  type SnapshotSource,
} from "./storage/snapshot_cache.ts";
export type { Activation, ModelConfig } from "./models/config.ts";
export type { LinearPart } from "./models/family.ts";
export type { DrawnInit } from "./optim/init.ts";
export {
  type DataCheck,
  type DataFiles,
  DataManager,
  type DataPaths,
  type DataPurpose,
  type DataReport,
  type Dataset,
  type LoadOptions,
  type ShownRow,
  type SourceCheck,
} from "./data_manager.ts";
export { ChatTemplate } from "./data/chat_template.ts";
export type { TokenizedExample } from "./data/example.ts";
export {
  type ColumnMapping,
  type Conversation,
  type DataFormat,
  type Example,
  type ParsedRow,
  ROW_FORMATS,
  type RowFormat,
} from "./data/formats.ts";
export type { BadEntry as BadDataEntry, Entry as DataEntry } from "./data/entries.ts";
export type { TextSpan } from "./data/generation_marks.ts";
export type { LengthCounts } from "./data/length_counts.ts";
export type { TrainOn } from "./data/mask.ts";
export type { Message, Role, ToolCall } from "./data/message.ts";
export type { OnBadLine } from "./data/problems.ts";
export type { Row } from "./data/row.ts";
export { type SharedReadingOptions, SharedReadings } from "./data/shared_readings.ts";
export type { ExampleRows } from "./data/token_rows.ts";
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
export type { CacheSize } from "./generate/kv_cache.ts";
export type { SamplingOptions } from "./generate/sampling.ts";
export { generateText, type TextOptions, type TextPiece } from "./generate/text.ts";
export { type EvalResult, ModelTrainer, type TrainerData } from "./trainer.ts";
export type { Packs } from "./trainer/trainer_data.ts";
export type { BestEvaluation } from "./checkpoint/resume_record.ts";
export { Tokenizer } from "./data/tokenizer.ts";

export {
  type Adapter,
  type AdapterTensor,
  loraUpdates,
  readAdapter,
  writeAdapter,
} from "./checkpoint/adapter.ts";
export type { LoraKind, TrainedBias } from "./config/lora_kind.ts";
export type { PathPattern, TargetModules, TargetRules } from "./checkpoint/target_modules.ts";
export { mergeModel, type MergeOptions, type MergeProgress } from "./checkpoint/merge.ts";
export { SafetensorsFile, type TensorInfo, writeSafetensors } from "./checkpoint/safetensors.ts";
export { type ModelWeights, WeightFiles } from "./checkpoint/weight_files.ts";
export {
  BitsandbytesWeights,
  type Int8Matrix,
  isBitsandbytes,
  type Nf4Matrix,
} from "./checkpoint/bitsandbytes.ts";
export { GgufFile, type GgufTensorInfo, type GgufValue } from "./checkpoint/gguf.ts";
export { type GgufModel, openGgufModel } from "./checkpoint/gguf_model.ts";
export { GgufWeights } from "./checkpoint/gguf_weights.ts";
export type { GgufType } from "./quant/gguf_types.ts";

export {
  exportGguf,
  type GgufExport,
  type GgufModelOptions,
  type GgufModelType,
} from "./export/gguf_model.ts";
export type { GgufVocabulary } from "./export/gguf_vocabulary.ts";
export { exportGgufLora, type GgufLoraOptions, type GgufLoraType } from "./export/gguf_lora.ts";
export {
  exportOnnx,
  type OnnxExport,
  type OnnxModelOptions,
  type OnnxModelType,
} from "./export/onnx_model.ts";
export type { OnnxFileLimits } from "./export/onnx_files.ts";
export type { LogitsOf } from "./export/onnx_decoder.ts";
export { type ExportDeps, type ExportRequest, type ExportSource, openExportSource } from "./export/source.ts";

export { Gpu, openGpu, type OpenGpuOptions } from "./gpu/device.ts";
export { chooseVariants, VARIANTS, type Variants } from "./nn/variants.ts";
export { VERSION } from "./version.ts";
