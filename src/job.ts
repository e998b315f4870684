/**
 * The words that every front end shares: job states and the event stream of a run.
 * JSON-safe plain data; imports nothing.
 *
 * @module
 */

/** States of a job. `completed`, `failed` and `cancelled` are final. */
export type JobStatus = "queued" | "validating" | "running" | "paused" | "completed" | "failed" | "cancelled";

/** One row of the memory plan, in bytes. */
export interface MemoryRow {
  /** What takes them, such as `activations`. */
  readonly what: string;
  /** Bytes of GPU memory. */
  readonly bytes: number;
}

/** What a run would take with the base's linear maps kept in so many bits; nothing of it is allocated. */
export interface QuantizationPlan {
  /** How linear maps would be kept. */
  readonly quantization: "none" | "4bit" | "8bit";
  /** Frozen weights, of which embedding, head and norms are in f32. */
  readonly weightBytes: number;
  /** Of all rows of its plan. */
  readonly totalBytes: number;
  /** Blocks whose activations backward would compute again. */
  readonly recomputedBlocks: number;
  /** Null where nobody knows what the adapter has. */
  readonly fits: boolean | null;
}

/** What was decided before the first step, and why. */
export interface RunSummary {
  /** The base model as it was named. */
  readonly baseModel: string;
  /** Hugging Face's `model_type`, such as `llama`. */
  readonly modelType: string;
  /** Of the base model, embeddings included. */
  readonly totalParameters: number;
  /** Of the update and of modules trained themselves. */
  readonly trainableParameters: number;
  /** Adapter (GPU) name, and whether it is a software adapter. */
  readonly adapter: string;
  /** Whether the GPU computes on the CPU; its speed then says nothing of a GPU's. */
  readonly softwareAdapter: boolean;
  /** Decisions with their reasons, one line each, such as the matmul variant. */
  readonly choices: readonly string[];
  /** Rows of one epoch. */
  readonly trainExamples: number;
  /** Rows held out. */
  readonly evalExamples: number;
  /** Tokens of an epoch that the loss counts. */
  readonly trainableTokensPerEpoch: number;
  /** Optimizer steps of the whole run. */
  readonly totalSteps: number;
  /** Optimizer steps of one epoch. */
  readonly stepsPerEpoch: number;
  /** Rows of one optimizer step. */
  readonly effectiveBatchSize: number;
  /** What the run takes, by use. */
  readonly memory: readonly MemoryRow[];
}

/** A held-out prompt, or one of the user's own, with the model's answer. */
export interface Sample {
  /** What was asked. */
  readonly prompt: string;
  /** The answer of the data; null for a prompt of the user's own. */
  readonly expected: string | null;
  /** The model's greedy answer. */
  readonly answer: string;
}

/** What an adapter is merged onto: the values that it was trained on, or the model before it was quantised. */
export type MergeBase = "quantized" | "original";

/** Mean loss per labelled token, nats: of quantised base and adapter, and of the adapter merged onto either base. */
export interface MergedLosses {
  /** Of the quantised base with the adapter beside it. */
  readonly adapter: number;
  /** Of the adapter merged onto the quantised values. */
  readonly quantized: number;
  /** Of the adapter merged onto the model's own values. */
  readonly original: number;
}

/** Parts of a job, in their order. */
export type JobStage =
  | "resolve"
  | "download"
  | "tokenise"
  | "plan"
  | "load"
  | "train"
  | "save"
  | "merge"
  | "upload";

/** Everything a run tells, in order. Terminal, tracker, SSE, worker and page consume this union. */
export type TrainingEvent =
  | {
    readonly type: "phase";
    readonly message: string;
    /** The stage that begins with it; absent where the one before goes on. */
    readonly stage?: JobStage;
  }
  | { readonly type: "warning"; readonly message: string }
  /** Told by a dry run of a model that is not quantised already. */
  | { readonly type: "planned"; readonly quantizations: readonly QuantizationPlan[] }
  | { readonly type: "started"; readonly summary: RunSummary }
  /** Told by a dry run that measures: what the steps would take, without evaluations, answers and saving. */
  | {
    readonly type: "estimated";
    /** Optimizer steps to do. */
    readonly steps: number;
    /** Of all of them. */
    readonly seconds: number;
    /** Of one with as many tokens as the mean. */
    readonly stepSeconds: number;
    /** Real (unpadded) tokens per second of the step that was measured. */
    readonly tokensPerSecond: number;
  }
  | {
    readonly type: "step";
    /** Optimizer steps done, 1-based. */
    readonly step: number;
    readonly totalSteps: number;
    /** Epochs done, fractional. */
    readonly epoch: number;
    /** Mean cross-entropy per trained token since the last step event, nats. */
    readonly loss: number;
    /** Learning rate used by this step. */
    readonly learningRate: number;
    /** L2 norm over all gradients before clipping. */
    readonly gradNorm: number;
    /** Share of trained tokens since the last step event to which the model gave the largest logit, 0..1. */
    readonly tokenAccuracy?: number;
    /** Trained tokens (labels that count) since the last step event. */
    readonly trainedTokens: number;
    /** All tokens of the run so far, padding left out. */
    readonly tokens: number;
    /** Real (unpadded) tokens per second since the last step event. */
    readonly tokensPerSecond: number;
    readonly etaSeconds: number;
  }
  | {
    readonly type: "evaluated";
    readonly step: number;
    readonly epoch: number;
    /** Sum of the loss over all labelled tokens divided by their number, nats. */
    readonly evalLoss: number;
    readonly evalTokens: number;
    /** Share of the labelled tokens to which the model gave the largest logit, 0..1. */
    readonly evalTokenAccuracy?: number;
    readonly evalSeconds?: number;
  }
  | {
    readonly type: "sampled";
    readonly step: number;
    readonly samples: readonly Sample[];
    /** Share of the answers that are exactly what was expected, 0..1; null if only the samples were answered. */
    readonly exactMatch: number | null;
    /** Held-out rows answered. */
    readonly rows: number;
  }
  /** What merging changes, where the base was quantised: losses of the same rows, nats. */
  | {
    readonly type: "compared";
    /** What was written. */
    readonly mergeBase: MergeBase;
    readonly rows: number;
    readonly tokens: number;
    readonly losses: MergedLosses;
  }
  /** The device was lost or ran out of memory: the run opens another and goes on after so many steps. */
  | {
    readonly type: "device_lost";
    /** What the device reported. */
    readonly message: string;
    /** Steps of the checkpoint that the run goes on from; 0 where it begins anew. What was told of later ones is void. */
    readonly step: number;
    /** The how-manieth recovery of the run this is, and how many it may have. */
    readonly recovery: number;
    readonly mostRecoveries: number;
  }
  /** The run goes on from a checkpoint, after this many steps. */
  | { readonly type: "resumed"; readonly step: number; readonly path: string }
  /** A checkpoint of the run after this many steps is on the medium. */
  | { readonly type: "checkpointed"; readonly step: number; readonly path: string }
  | { readonly type: "saved"; readonly what: "adapter" | "merged" | "results"; readonly path: string }
  /** Files move to or from a bucket; `files` equals `totalFiles` in the last event of a transfer, and only there. */
  | {
    readonly type: "transfer";
    readonly direction: "download" | "upload";
    /** What moves, in a few words for people, such as `the training data`. */
    readonly what: string;
    readonly files: number;
    readonly totalFiles: number;
    readonly bytes: number;
    readonly totalBytes: number;
  }
  | {
    readonly type: "finished";
    readonly status: "completed";
    readonly steps: number;
    readonly seconds: number;
    readonly evalLossBefore: number | null;
    readonly evalLossAfter: number | null;
  };
