/**
 * `resume.json`, what a checkpoint says beside its tensors: how far the run had come, on what, and how to tell that the
 * checkpoint is whole. Fields are named as in the file.
 *
 * @module
 */
import { ModelFormatError, UnsupportedModelError } from "../errors.ts";

export const RESUME_FILE = "resume.json";

/** A reader refuses a newer one. In every version `checksum` is the SHA-256 of all else, as JSON without spaces. */
export const RESUME_FORMAT_VERSION = 1;

/** How a file was written. */
export interface FileDigest {
  readonly bytes: number;
  /** SHA-256, hexadecimal, of each 256 MiB: of the whole file where it is no longer. */
  readonly sha256: readonly string[];
}

/** Steps since the last report, summed. */
export interface MeterState {
  readonly steps: number;
  readonly tokens: number;
  readonly trained_tokens: number;
  /** Loss that was read from the GPU, and loss that still lay there, where it is summed in f32. */
  readonly summed_loss: number;
  readonly summed_on_gpu: number;
  /** Trained tokens that got the largest logit. */
  readonly correct: number;
  readonly seconds: number;
  /** Tokens of the whole run up to the last report. */
  readonly tokens_before: number;
}

/** The evaluation with the best metric so far. */
export interface BestEvaluation {
  /** Optimizer steps done before it. */
  readonly step: number;
  /** Value of `metric_for_best_model`. */
  readonly metric: number;
  /** Mean over labelled tokens, nats. */
  readonly eval_loss: number;
}

/** What evaluations have shown so far. */
export interface JudgementState {
  readonly best: BestEvaluation | null;
  /** Evaluations in a row that brought no better metric. */
  readonly worse: number;
}

/** What the watchdog of the loss remembers. */
export interface WatchdogState {
  /** Reports in a row beyond its threshold. */
  readonly alarms: number;
  /** Least loss of a report, nats; null before the first. */
  readonly least: number | null;
}

/** Where a run stands between two optimizer steps. */
export interface TrainerState {
  /** Optimizer steps done. */
  readonly step: number;
  /** False while an evaluation after this step is still to come. */
  readonly evaluated: boolean;
  readonly since_report: MeterState;
  readonly judgement: JudgementState;
  /** Where a learning rate that follows from evaluations stands; null for other schedules. */
  readonly schedule: Readonly<Record<string, unknown>> | null;
  readonly watchdog: WatchdogState;
}

/** What a run is made of. */
export interface RunIdentity {
  /** All options, as on the wire. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Optimizer steps that these options give. */
  readonly total_steps: number;
  /** SHA-256 of the data files; `eval` is null where rows of the training data are held out. */
  readonly data: { readonly train: string; readonly eval: string | null };
  /** SHA-256 of the tokens and labels of every row, in order. */
  readonly rows: string;
  /** SHA-256 of config.json and of every tensor's name, type, shape and first bytes. */
  readonly base_model: string;
  readonly gpu: string;
  readonly lowrank: string;
  /** Tiles of the products by kind, since another one may sum in another order; see `src/tuning/for_run.ts`. */
  readonly tiles?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Numbers that the end of a run reports. */
export interface ProgressState {
  readonly tokens: number;
  readonly seconds: number;
  readonly eval_loss_before: number | null;
  readonly eval_loss_after: number | null;
  /** Share of exact answers before the first step. */
  readonly exact_match_before: number | null;
}

/** Bytes of metrics.jsonl that belong to the checkpoint, and the line that waited for an evaluation. */
export interface MetricsState {
  readonly bytes: number;
  readonly waiting: Readonly<Record<string, number | null>> | null;
}

/** The content of resume.json but for version, files and checksum. */
export interface ResumeRecord extends TrainerState, RunIdentity {
  readonly progress: ProgressState;
  readonly metrics: MetricsState;
}

/** The text of resume.json. */
export async function formatResume(
  record: ResumeRecord,
  files: Readonly<Record<string, FileDigest>>,
): Promise<string> {
  const content = { version: RESUME_FORMAT_VERSION, ...record, files };
  return `${JSON.stringify({ ...content, checksum: await sha256(JSON.stringify(content)) }, null, 2)}\n`;
}

/**
 * Reads resume.json.
 *
 * @throws {ModelFormatError} If the text is not what was written.
 * @throws {UnsupportedModelError} If a newer version wrote it.
 */
export async function parseResume(
  text: string,
  uri: string,
): Promise<{ record: ResumeRecord; files: Readonly<Record<string, FileDigest>> }> {
  const fail = (problem: string) => new ModelFormatError(`Cannot resume from "${uri}": ${problem}`);
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw fail(`it is not JSON: ${(error as Error).message}`);
  }
  if (typeof root !== "object" || root === null) throw fail("it is not an object");
  const { checksum, ...content } = root as Record<string, unknown>;
  if (checksum !== await sha256(JSON.stringify(content))) {
    throw fail("its checksum is not that of its content: it was damaged or changed");
  }
  const { version, files, ...record } = content;
  if (version !== RESUME_FORMAT_VERSION) {
    throw new UnsupportedModelError(
      `Cannot resume from "${uri}": its format is version ${version}, this program knows version ` +
        `${RESUME_FORMAT_VERSION}; take the program that wrote it, or a newer one`,
    );
  }
  return { record: record as unknown as ResumeRecord, files: files as Record<string, FileDigest> };
}

/** SHA-256 of text (UTF-8) or bytes, hexadecimal. */
export async function sha256(content: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
