/**
 * TensorBoard's event files: records of one `Event` message each.
 *
 *     record = u64 length · masked CRC-32C of the length · Event · masked CRC-32C of the Event        little-endian
 *     Event  = wall_time 1: double, step 2: int64, and one of file_version 3, summary 5, session_log 7
 *
 * A run that goes on from a checkpoint writes a file of its own, which begins by telling that the steps from there on are
 * to be forgotten; TensorBoard reads all files of a folder together.
 *
 * @see tensorflow `event.proto`, `summary.proto`; tensorboard `compat/tensorflow_stub/io`.
 * @module
 */
import { maskedCrc32c } from "../crc32c.ts";
import type { Sample, TrainingEvent } from "../job.ts";
import { bytesField, doubleField, floatField, joined, varintField } from "../protobuf.ts";
import type { Folder } from "../storage.ts";

/** Folder of the event files within a run's folder. */
export const TENSORBOARD_FOLDER = "tensorboard";

/** Of `SessionLog.status`. */
const START = 1;
/** Of `DataType`. */
const DT_STRING = 7;

/** One `Event` as a record of the file. */
export function eventRecord(
  seconds: number,
  step: number,
  what: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const event = joined([doubleField(1, seconds), varintField(2, step), ...what]);
  const length = new Uint8Array(BigUint64Array.of(BigInt(event.length)).buffer);
  return joined([length, sumOf(length), event, sumOf(event)]);
}

function sumOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(Uint32Array.of(maskedCrc32c(bytes)).buffer);
}

/** A curve's point. */
function scalar(tag: string, value: number): Uint8Array {
  return bytesField(1, [bytesField(1, tag), floatField(2, value)]);
}

/** Text that TensorBoard shows as Markdown: a tensor of one string, marked for its text plugin. */
function text(tag: string, content: string): Uint8Array {
  const plugin = bytesField(9, [bytesField(1, [bytesField(1, "text")])]);
  const shape = bytesField(2, [bytesField(2, [varintField(1, 1)])]);
  const tensor = bytesField(8, [varintField(1, DT_STRING), shape, bytesField(8, content)]);
  return bytesField(1, [bytesField(1, tag), plugin, tensor]);
}

/** Tags with the names that transformers gives them. */
function summaryOf(event: TrainingEvent): readonly Uint8Array[] {
  if (event.type === "step") {
    const { loss, learningRate, gradNorm, epoch, tokenAccuracy, tokens, tokensPerSecond } = event;
    return [
      scalar("train/loss", loss),
      scalar("train/learning_rate", learningRate),
      scalar("train/grad_norm", gradNorm),
      scalar("train/epoch", epoch),
      ...(tokenAccuracy === undefined ? [] : [scalar("train/mean_token_accuracy", tokenAccuracy)]),
      scalar("train/num_tokens", tokens),
      scalar("train/tokens_per_second", tokensPerSecond),
    ];
  }
  if (event.type === "evaluated") {
    const { evalLoss, evalTokenAccuracy, evalSeconds } = event;
    return [
      scalar("eval/loss", evalLoss),
      scalar("eval/perplexity", Math.exp(evalLoss)),
      ...(evalTokenAccuracy === undefined ? [] : [scalar("eval/mean_token_accuracy", evalTokenAccuracy)]),
      ...(evalSeconds === undefined ? [] : [scalar("eval/runtime", evalSeconds)]),
    ];
  }
  if (event.type !== "sampled") return [];
  return [
    ...event.samples.map((sample, i) => text(`samples/${i}`, sampleText(sample))),
    ...(event.exactMatch === null ? [] : [scalar("eval/exact_match", event.exactMatch)]),
  ];
}

/** Indented, so that Markdown leaves the texts as they are. */
function sampleText(
  { prompt, expected, answer }: Sample,
): string {
  const block = (name: string, content: string) => `${name}\n\n${content.replace(/^/gm, "    ")}\n`;
  const wanted = expected === null ? [] : [block("expected", expected)];
  return [block("prompt", prompt), ...wanted, block("answer", answer)].join("\n");
}

export class TensorBoardLog {
  readonly #folder: Folder;
  readonly #now: () => number;
  readonly #name: string;

  private constructor(output: Folder, now: () => number) {
    this.#folder = output.folder(TENSORBOARD_FOLDER);
    this.#now = now;
    const at = Math.floor(now());
    this.#name = `events.out.tfevents.${Math.floor(at / 1000)}.lowrank.${at % 1000}`;
  }

  /**
   * Begins a file.
   *
   * @param step Steps done by the checkpoint that the run goes on from, 0 for a fresh start.
   * @param now Milliseconds since 1970.
   */
  static async start(output: Folder, step = 0, now: () => number = Date.now): Promise<TensorBoardLog> {
    const log = new TensorBoardLog(output, now);
    await log.#write(0, [bytesField(3, "brain.Event:2")]);
    if (step > 0) await log.#write(step + 1, [bytesField(7, [varintField(1, START)])]);
    return log;
  }

  /** Takes step, evaluation and sample events; ignores others. */
  async add(event: TrainingEvent): Promise<void> {
    const values = summaryOf(event);
    if ("step" in event && values.length > 0) await this.#write(event.step, [bytesField(5, values)]);
  }

  #write(step: number, what: readonly Uint8Array[]): Promise<void> {
    return this.#folder.append(this.#name, eventRecord(this.#now() / 1000, step, what));
  }
}
