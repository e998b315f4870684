/**
 * What page and worker say to each other. Plain data, so that it survives structured cloning; errors travel by name,
 * message and list of problems.
 *
 * @module
 */
import { ConfigError, DatasetFormatError, type DatasetIssue } from "../src/errors.ts";
import type { JobStatus, QuantizationPlan, RunSummary, TrainingEvent } from "../src/job.ts";
import type { Message } from "../src/data/formats.ts";
import type { StopReason } from "../src/generate/generator.ts";
import type { GgufModelType } from "../src/export/gguf_model.ts";
import type { SampleRound } from "../src/logs/samples_file.ts";
import type { MetricsRow } from "../src/run_files.ts";
import type { Gate } from "./gate.ts";
import type { LossPoint } from "./loss_summary.ts";
import type { ServerAccess } from "./lowrank_server.ts";

/** Options of a job by wire name, as config files have them. */
export type Wire = Readonly<Record<string, unknown>>;

/** What the page asks and the worker answers, by name. */
export interface Questions {
  /** First of all: where runs are kept, and which there are. */
  readonly open: { readonly input: null; readonly answer: Opened };
  /** Whether this browser can train. Asked of the worker, as browsers hold up whoever looks for an adapter. */
  readonly gate: { readonly input: null; readonly answer: Gate };
  readonly runs: { readonly input: null; readonly answer: readonly RunEntry[] };
  readonly openRun: { readonly input: string; readonly answer: RunDetails };
  /** How each run went, in no order. */
  readonly runGlances: { readonly input: null; readonly answer: readonly RunGlance[] };
  /** Gives a run another name. */
  readonly renameRun: {
    readonly input: { readonly run: string; readonly name: string };
    readonly answer: null;
  };
  /** Removes a run with all that it holds. */
  readonly removeRun: { readonly input: string; readonly answer: null };
  /** The bytes of a run's file, by its path in the run's folder. */
  readonly readFile: { readonly input: RunFilePath; readonly answer: Blob };
  /** What a run holds by now. */
  readonly runHoldings: { readonly input: string; readonly answer: RunHoldings };
  /** Makes one file of what a run has trained. */
  readonly exportRun: {
    readonly input: ExportOrder;
    readonly answer: Exported;
    readonly note: ByteProgress;
  };
  /** Loads what is to be talked to. */
  readonly openChat: { readonly input: LocalSubject; readonly answer: ChatFacts };
  /** Answers, piece by piece. */
  readonly say: { readonly input: ChatOrder; readonly answer: null; readonly note: ChatPiece };
  /** Whether a model knows conversations, and how long they may be, by its files. */
  readonly conversationFacts: {
    readonly input: string;
    readonly answer: Pick<ChatFacts, "hasTemplate" | "contextLength">;
  };
  /** Gives the GPU back. */
  readonly closeChat: { readonly input: null; readonly answer: null };
  /** Exports what is talked to for browsers without WebGPU. */
  readonly onnxModel: { readonly input: OnnxOrder; readonly answer: ExportedModel };
  /** Of the worker that runs exported models: takes one by a name; those of other names before its slash go. */
  readonly openWriter: {
    readonly input: { readonly name: string; readonly files: ExportedModel["files"] };
    readonly answer: null;
  };
  /** Of the same: goes on from a conversation. */
  readonly write: {
    readonly input: {
      readonly name: string;
      readonly messages: readonly Message[];
      readonly options: ChatOrder["options"];
    };
    readonly answer: null;
    readonly note: Omit<ChatPiece, "side">;
  };
  /** What is kept of models on the device. */
  readonly models: { readonly input: null; readonly answer: readonly KeptModel[] };
  /** Paths of the models that the page's server has, base models first. */
  readonly serverModels: { readonly input: null; readonly answer: readonly string[] };
  /** The path by which a model is taken: of a folder with one GGUF file and nothing else, that file's. */
  readonly modelPath: { readonly input: string; readonly answer: string };
  readonly modelFacts: { readonly input: string; readonly answer: ModelFacts };
  /** Takes files as a model of this visit; answered with its path. */
  readonly pickModel: { readonly input: PickedFiles; readonly answer: string };
  /** The same, copied into the device's store. */
  readonly keepModel: { readonly input: PickedFiles; readonly answer: string };
  readonly removeModel: { readonly input: string; readonly answer: null };
  /** The models in buckets that the page's server offers. */
  readonly bucketModels: { readonly input: BucketPlaces; readonly answer: BucketCatalog };
  /** What one of them is, and what the job would take with it (null: it is not asked); nothing is kept. */
  readonly bucketModel: {
    readonly input: BucketModelOrder & { readonly config: Wire | null };
    readonly answer: BucketModelFacts;
  };
  /** Copies one onto the device, or goes on with that; answered with its path there. */
  readonly downloadModel: {
    readonly input: BucketModelOrder;
    readonly answer: string;
    readonly note: DownloadProgress;
  };
  /** Keeps data on the device, so that a run can go on with it after a reload; answered with its path. */
  readonly keepData: { readonly input: KeptData; readonly answer: string };
  /** Reads the data of a job as training would. */
  readonly dataFacts: { readonly input: Wire; readonly answer: DataFacts; readonly note: DataNote };
  /** The first rows of a large file of lines, before it is kept; null for others. */
  readonly peekData: {
    readonly input: NamedContent & { readonly config: Wire };
    readonly answer: DataFacts | null;
  };
  /** A row of a job's data as it is trained, by its number from 0; null if there is none. */
  readonly dataRow: {
    readonly input: { readonly config: Wire; readonly row: number };
    readonly answer: DataRow | null;
  };
  /** Plans a job as a dry run does; nothing is allocated. */
  readonly plan: { readonly input: Wire; readonly answer: JobPlan };
  /** Starts a job on the page's server; answered with its id there. */
  readonly startOnServer: { readonly input: Wire; readonly answer: string };
  /** Has the server go on with a run after its last checkpoint; answered with the job's id there. */
  readonly handOver: { readonly input: string; readonly answer: string };
  /** Takes such a run back, with what it has become. */
  readonly bringBack: { readonly input: string; readonly answer: null };
  /** Takes a job of the server as a run; answered with the run's name. */
  readonly takeJob: { readonly input: JobToTake; readonly answer: string };
  /** Opens the adapter (GPU) and, where that is wanted, measures the engine's own matrix product on it. */
  readonly device: { readonly input: { readonly measure: boolean }; readonly answer: DeviceFacts };
}

/** Name of a question. */
export type Question = keyof Questions;

/** Questions to the worker that runs exported models; all others are for the one that trains. */
export type WriterQuestion = "openWriter" | "write";

/** What a question is told before its answer, such as how far it is. */
export type NoteOf<Q extends Question> = Questions[Q] extends { readonly note: infer Note } ? Note : never;

/** What the page sends the worker. */
export type WorkerCommand =
  /** Answered by `answer` or `refused` of the same id. */
  | {
    readonly type: "ask";
    readonly id: number;
    readonly question: Question;
    readonly input: unknown;
    /** The page's server; null where it has none. With every question, as a worker may be another one than before. */
    readonly server: ServerAccess | null;
  }
  /** The answer of this id is no longer wanted: what is done for it ends, and it is refused. */
  | { readonly type: "cancel"; readonly id: number }
  /** Runs a job. Answered by events, then `completed`, `stopped` or `failed`. */
  | {
    readonly type: "start";
    readonly config: Wire;
    /** As above; told how the run stands, by the name that the option `job_id` gives it. */
    readonly server: ServerAccess | null;
    /** Stops at the next report of a step, as `stop` does. */
    readonly onlyOneStep: boolean;
  }
  /** Ends the running job between two batches; a checkpoint of its last whole step is kept. */
  | { readonly type: "stop" }
  /** Makes the step that the running job is at its last: it evaluates, saves and is completed. */
  | { readonly type: "finish" }
  /** Has the running job answer its sample prompts after the step that it is at. */
  | { readonly type: "answerNow" };

/** What the worker tells the page. */
export type WorkerMessage =
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | { readonly type: "refused"; readonly id: number; readonly error: PlainError }
  /** Before the answer of this id. */
  | { readonly type: "note"; readonly id: number; readonly note: unknown }
  | RunMessage;

/** What the worker tells of the running job. */
export type RunMessage =
  | { readonly type: "event"; readonly event: TrainingEvent }
  | { readonly type: "completed" }
  | { readonly type: "stopped"; readonly resumable: number | null }
  | { readonly type: "failed"; readonly error: PlainError; readonly resumable: number | null };

/** Where runs are kept: on the device across visits, or until the page is closed. */
export type RunStore = "device" | "memory";

/** What the worker found on opening. */
export interface Opened {
  readonly store: RunStore;
  /** The latest first. */
  readonly runs: readonly RunEntry[];
}

/** A run that the store holds. */
export interface RunEntry {
  readonly name: string;
  readonly status: JobStatus;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly steps: number;
  readonly totalSteps: number;
  /** Steps that it can go on from; null if all are done or it left no checkpoint. */
  readonly resumable: number | null;
  readonly baseModel: string;
  readonly evalLossBefore: number | null;
  readonly evalLossAfter: number | null;
  /** Why it failed, in words; null unless it did. */
  readonly error: string | null;
  /** Id of the server's job that goes on with it; null if none does. */
  readonly serverJob: string | null;
  /** All its options. */
  readonly config: Wire;
}

/** How a run went, in a few numbers. */
export interface RunGlance {
  readonly name: string;
  /** Of all its files. */
  readonly bytes: number;
  /** Of training, without pauses and evaluations. */
  readonly seconds: number;
  /** Trained on, padding left out. */
  readonly tokens: number;
  /** Its training loss in a few points. */
  readonly spark: readonly number[];
  readonly lastLoss: number | null;
  readonly bestEvaluation: LossPoint | null;
}

/** A job of the server that is to go on here. */
export interface JobToTake {
  readonly id: string;
  /** Paths of the models that the page has: one that has the name of the job's is taken for it, and else the server's. */
  readonly models: readonly string[];
}

/** What a run has made so far. */
export interface RunHoldings {
  /** Of its adapter or, until there is one, of its last checkpoint; and its records. */
  readonly files: readonly RunFile[];
  /** By step. */
  readonly checkpoints: readonly RunCheckpoint[];
  /** Whether training has ended and its adapter is saved. */
  readonly hasAdapter: boolean;
}

/** A state of a run that it can go on from, and an adapter that can be used. */
export interface RunCheckpoint {
  readonly step: number;
  readonly bytes: number;
}

/** A run with what it wrote. */
export interface RunDetails extends RunHoldings {
  readonly entry: RunEntry;
  readonly metrics: readonly MetricsRow[];
  readonly rounds: readonly SampleRound[];
}

/** What to make of a run. */
export interface ExportOrder {
  readonly run: string;
  /** Of which checkpoint; null for the adapter that the run has saved. */
  readonly checkpoint: number | null;
  /** The adapter as PEFT has it, base and adapter merged as transformers has it, each zipped; or merged as one GGUF file. */
  readonly what: "adapter" | "merged" | "gguf";
  /** Element type of a GGUF file's matrices. */
  readonly ggufType: GgufModelType;
  /** A file of the user's to write to; null where the browser offers none. */
  readonly target: FileSystemFileHandle | null;
}

/** What was made of a run. */
export interface Exported {
  /** What the file is called. */
  readonly name: string;
  /** Null where it was written to the order's target. */
  readonly content: Blob | null;
}

/** What is talked to here: what a run trained (by a checkpoint, where one is named) beside its base, or a base model alone. */
export type LocalSubject =
  | { readonly kind: "run"; readonly run: string; readonly checkpoint: number | null }
  | { readonly kind: "base"; readonly baseModel: string };

/** What is talked to on the page's server, by the model's name there: a fine-tuned one beside its base, or a base alone. */
export interface ServerSubject {
  readonly kind: "server";
  readonly model: string;
}

/** What is talked to. */
export type ChatSubject = LocalSubject | ServerSubject;

/** The base model with what was trained, or without. */
export type ChatSide = "adapter" | "base";

/** What is known of a model that is ready to answer. */
export interface ChatFacts {
  /** Whether it knows conversations; another goes on from each text by itself. */
  readonly hasTemplate: boolean;
  readonly contextLength: number;
  readonly sides: readonly ChatSide[];
  /** What may be asked: prompts that the run has answered; empty for a base model. */
  readonly examples: readonly string[];
}

/** What is to be answered. */
export interface ChatOrder {
  /** By each side that is to answer: the conversation with it. */
  readonly turns: readonly { readonly side: ChatSide; readonly messages: readonly Message[] }[];
  readonly options: {
    readonly temperature: number;
    readonly seed: number;
    readonly maxNewTokens: number;
  };
}

/** Which of two models to export. */
export interface OnnxOrder {
  readonly subject: LocalSubject;
  readonly side: ChatSide;
}

/** A model that transformers.js runs. */
export interface ExportedModel extends Omit<ChatFacts, "sides"> {
  /** By their paths in the model's folder. */
  readonly files: readonly { readonly path: string; readonly content: Blob }[];
}

/** A part of an answer. */
export interface ChatPiece {
  readonly side: ChatSide;
  readonly text: string;
  /** New tokens that it stands for. */
  readonly tokens: number;
  /** Why the answer ends here; null while it goes on. */
  readonly end: StopReason | null;
}

/** How far something that counts in bytes is. */
export interface ByteProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

/** A file that a run has made. */
export interface RunFile {
  /** In the run's folder, such as `adapter/adapter_config.json`. */
  readonly path: string;
  readonly bytes: number;
}

/** Which file of which run. */
export interface RunFilePath {
  readonly run: string;
  readonly path: string;
}

/** A file that the user picked. */
export interface PickedFile {
  /** Below the folder that was picked. */
  readonly path: string;
  readonly file: File;
}

/** Files of one model. */
export interface PickedFiles {
  readonly name: string;
  readonly files: readonly PickedFile[];
}

/** What becomes a file of this name. */
export interface NamedContent {
  readonly name: string;
  readonly content: Blob;
}

/** What a base model is. */
export interface ModelFacts {
  readonly uri: string;
  /** Hugging Face's `model_type`. */
  readonly modelType: string;
  readonly parameters: number;
  /** Of its weights, as the files have them. */
  readonly bytes: number;
  /** Format that its linear maps are quantised in already; null for floats. */
  readonly packing: string | null;
  /** As the model's card states it; null where it states none. */
  readonly license: string | null;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  /** Positions that the model was trained on. */
  readonly contextLength: number;
}

/** A model on the device, or what has come of one. */
export interface KeptModel {
  /** Path of the model. */
  readonly uri: string;
  /** All that is here. */
  readonly bytes: number;
  /** Where it was downloaded from; null for one that the user picked. */
  readonly source: { readonly path: string; readonly revision: string } | null;
  /** How far its download is; null for one that is whole. */
  readonly download: ByteProgress | null;
}

/** Places of buckets that the page's server offers. */
export interface BucketPlaces {
  readonly server: ServerAccess;
  /** Such as `gs/my-bucket/models`. */
  readonly places: readonly string[];
}

/** A model in a bucket. */
export interface BucketModel {
  /** As the server names it. */
  readonly path: string;
  readonly name: string;
  /** Another one whenever a file of it is another one. */
  readonly revision: string;
  readonly bytes: number;
}

/** What the places hold. */
export interface BucketCatalog {
  /** By name. */
  readonly models: readonly BucketModel[];
  /** Places that could not be listed. */
  readonly problems: readonly { readonly place: string; readonly problem: PlainError }[];
  /** Places with so many files that not all were looked at. */
  readonly cut: readonly string[];
}

/** Which model, and by which server. */
export interface BucketModelOrder {
  readonly server: ServerAccess;
  readonly path: string;
}

/** What a model in a bucket is. */
export interface BucketModelFacts {
  readonly facts: ModelFacts;
  /** Of all files that a copy holds. */
  readonly downloadBytes: number;
  /** What the job would be and take with it; null where there is none. */
  readonly plan: JobPlan | null;
  /** Why there is no plan. */
  readonly problem: PlainError | null;
}

/** How far a download is. */
export interface DownloadProgress extends ByteProgress {
  /** Of those bytes, what has come since the download was begun or gone on with. */
  readonly received: number;
  /** Why it waits to try again; null while bytes come. */
  readonly problem: PlainError | null;
}

/** Data and what it is for. */
export interface KeptData extends NamedContent {
  readonly purpose: "train" | "eval";
}

/** How far data is read, or what it holds so far. */
export type DataNote = { readonly progress: ByteProgress } | { readonly facts: DataFacts };

/** Text of a rendered row. */
export interface TextPiece {
  readonly text: string;
  /** Whether the loss counts its tokens. */
  readonly trained: boolean;
  /** Whether it is one special token. */
  readonly special: boolean;
  readonly tokens: number;
}

/** A row as it is trained. */
export interface DataRow {
  /** Of its first tokens; more than fit a view are left out. */
  readonly pieces: readonly TextPiece[];
  /** Tokens of it, and those that the loss counts. */
  readonly tokens: number;
  readonly trained: number;
  /** Tokens before cutting. */
  readonly length: number;
}

/** What the data of a job is. */
export interface DataFacts {
  /** Whether all files are read; until then they are told as far as they are. */
  readonly isWhole: boolean;
  /** The training files. */
  readonly file: string;
  /** Tokens that rows are cut at. */
  readonly maxLength: number;
  readonly formats: readonly string[];
  /** Usable rows of the training files, and those kept after cutting. */
  readonly rows: number;
  readonly kept: number;
  readonly cut: number;
  readonly dropped: number;
  readonly tokens: number;
  readonly trainedTokens: number;
  /** Rows to evaluate on: split off, or of files of their own. */
  readonly heldOut: number;
  readonly ownEvaluation: boolean;
  /** Held-out rows that are also trained on. */
  readonly leaked: number;
  readonly issues: readonly DatasetIssue[];
  /** Records that cannot be used, `issues` or not. */
  readonly badLines: number;
  /** Lines among them that can be left out, and those that are. */
  readonly skippable: number;
  readonly skipped: number;
  /** Whether training would refuse the data for what is wrong with it. */
  readonly refused: boolean;
  readonly warnings: readonly string[];
  /** Tokens of the longest row before cutting. */
  readonly longest: number;
  /** Rows by tokens before cutting; the last range may be wider than the others. */
  readonly histogram: readonly { readonly from: number; readonly to: number; readonly rows: number }[];
  /** The first rows as they are trained. */
  readonly samples: readonly DataRow[];
  /** Names of the first record's columns. */
  readonly columns: readonly string[];
}

/** What a run would be and take. */
export interface JobPlan {
  readonly summary: RunSummary;
  /** Empty for a model that is quantised already. */
  readonly quantizations: readonly QuantizationPlan[];
  readonly warnings: readonly string[];
}

/** What is known of the adapter (GPU). */
export interface DeviceFacts {
  readonly name: string;
  readonly software: boolean;
  readonly features: readonly string[];
  /** Granted limits by WebGPU's names. */
  readonly limits: Readonly<Record<string, number>>;
  /** Of a product of two square f32 matrices of this size, 10⁹ operations a second; null where it was not measured. */
  readonly matmul: { readonly size: number; readonly gigaflops: number } | null;
}

/** An error as plain data. */
export interface PlainError {
  /** Name of the class, such as `GpuMemoryError`. */
  readonly name: string;
  readonly message: string;
  /** Each problem of a configuration or data file by itself; empty for other errors. */
  readonly issues: readonly string[];
}

/** Takes an error apart. */
export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), issues: [] };
  const { name, message } = error;
  const listsIssues = error instanceof ConfigError || error instanceof DatasetFormatError;
  return { name, message, issues: listsIssues ? message.split("\n") : [] };
}
