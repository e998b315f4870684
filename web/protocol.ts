/**
 * What page and worker say to each other. Plain data, so that it survives structured cloning; errors travel by name,
 * message and list of problems.
 *
 * @module
 */
import type { Message } from "../src/data/formats.ts";
import type { TrainingEvent } from "../src/job.ts";
import type { Gate } from "./gate.ts";
import type { ServerAccess } from "./lowrank_server.ts";
import type {
  ChatFacts,
  ChatOrder,
  ChatPiece,
  ExportedModel,
  LocalSubject,
  OnnxOrder,
} from "./protocol/chat.ts";
import type { DataFacts, DataNote, DataRow, KeptData, NamedContent } from "./protocol/data.ts";
import type { DeviceFacts } from "./protocol/device.ts";
import type { ByteProgress, JobPlan, Wire } from "./protocol/job.ts";
import type {
  BucketCatalog,
  BucketModelFacts,
  BucketModelOrder,
  BucketPlaces,
  DownloadProgress,
  KeptModel,
  ModelFacts,
  PickedFiles,
} from "./protocol/models.ts";
import type { PlainError } from "./protocol/plain_error.ts";
import type {
  Exported,
  ExportOrder,
  JobToTake,
  Opened,
  RunDetails,
  RunEntry,
  RunFilePath,
  RunGlance,
  RunHoldings,
} from "./protocol/runs.ts";

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
