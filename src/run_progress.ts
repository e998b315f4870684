/**
 * How far a run has come, gathered from its events.
 *
 * @module
 */
import type { ProgressState, ResumeRecord } from "./checkpoint/resume_record.ts";
import type { TrainingEvent } from "./job.ts";
import type { DeviceRecovery, RunRecord } from "./run_files.ts";

/** How far a run has come. */
export class Progress {
  readonly startedAt = new Date();
  steps = 0;
  tokens = 0;
  evalLossBefore: number | null = null;
  evalLossAfter: number | null = null;
  /** Shares of exact answers, 0..1. */
  exactMatchBefore: number | null = null;
  exactMatchAfter: number | null = null;
  /** Null until merged, and where the base was not quantised. */
  merged: RunRecord["merged"] = null;
  /** Devices that were lost so far. */
  readonly recoveries: DeviceRecovery[] = [];
  #secondsBefore = 0;

  /** What a checkpoint keeps. */
  get state(): ProgressState {
    const { tokens, seconds, evalLossBefore, evalLossAfter, exactMatchBefore } = this;
    return {
      tokens,
      seconds,
      eval_loss_before: evalLossBefore,
      eval_loss_after: evalLossAfter,
      exact_match_before: exactMatchBefore,
    };
  }

  /** Counts on from a checkpoint of an earlier run. */
  resume(record: ResumeRecord): void {
    this.rewind(record);
    this.#secondsBefore = record.progress.seconds;
  }

  /** Goes back to a checkpoint of this run, or to its start; the time goes on. */
  rewind(record: ResumeRecord | null): void {
    const progress = record?.progress;
    this.steps = record?.step ?? 0;
    this.tokens = progress?.tokens ?? 0;
    this.evalLossBefore = progress?.eval_loss_before ?? null;
    this.evalLossAfter = progress?.eval_loss_after ?? null;
    this.exactMatchBefore = progress?.exact_match_before ?? null;
    this.exactMatchAfter = null;
    this.merged = null;
  }

  /** Takes step, loss-of-device, checkpoint, evaluation, sample and comparison events; ignores others. */
  note(event: TrainingEvent): void {
    if (event.type === "step") {
      this.steps = event.step;
      this.tokens = event.tokens;
    } else if (event.type === "device_lost") {
      const { message, step } = event;
      this.recoveries.push({ at: new Date().toISOString(), message, step });
    } else if (event.type === "checkpointed") this.steps = event.step;
    else if (event.type === "evaluated") {
      if (event.step === 0) this.evalLossBefore = event.evalLoss;
      else this.evalLossAfter = event.evalLoss;
    } else if (event.type === "sampled") {
      if (event.step === 0) this.exactMatchBefore = event.exactMatch;
      else this.exactMatchAfter = event.exactMatch;
    } else if (event.type === "compared") {
      const { mergeBase, rows, tokens, losses } = event;
      this.merged = { merge_base: mergeBase, rows, tokens, loss: losses };
    }
  }

  /** Wall time since the start; with that of the runs before, up to their checkpoints. */
  get seconds(): number {
    return this.#secondsBefore + (Date.now() - this.startedAt.getTime()) / 1000;
  }
}
