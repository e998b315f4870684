/**
 * The events of a run, told to a tracker as they pass.
 *
 * @module
 */
import type { TrainingEvent } from "./job.ts";
import type { JobMetadata, JobTracker } from "./job_tracker.ts";

/** Shares of the whole job that are done: downloads, all before the first step, training, saving, the upload. */
const DOWNLOADED = 0.04;
const PREPARED = 0.05;
const TRAINED = 0.9;
const SAVED = { adapter: 0.92, merged: 0.94, results: 0.99 } as const;

/**
 * The same events. The tracker learns what state the job is in and how far it is, and is closed at the end.
 *
 * @param signal Tells a job that was cancelled from one that failed.
 */
export async function* trackedEvents(
  events: AsyncIterable<TrainingEvent>,
  tracker: JobTracker,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  let isOver = false, isRunning = false;
  let progress = 0;
  tracker.markValidating();
  try {
    for await (const event of events) {
      if (event.type === "started") {
        isRunning = true;
        tracker.markRunning(facts(event.summary));
      } else if (event.type === "transfer" && event.direction === "upload" && !isRunning) {
        isRunning = true; // of a run that was saved before, only the upload is left
        tracker.markRunning();
      }
      if (event.type === "finished") {
        const { steps, seconds, evalLossBefore, evalLossAfter } = event;
        isOver = true;
        tracker.markCompleted({
          steps,
          seconds: Math.round(seconds),
          eval_loss_before: evalLossBefore,
          eval_loss_after: evalLossAfter,
        });
      }
      const now = progressAt(event);
      if (now !== null && now > progress && !isOver) tracker.setProgress(progress = now);
      yield event;
    }
  } catch (error) {
    isOver = true;
    if (signal?.aborted) tracker.markCancelled();
    else tracker.markFailed(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    // whoever consumes the events stopped asking for them, or the run stopped without an error because of its signal
    if (!isOver) tracker.markCancelled();
    await tracker.close();
  }
}

/** How much of the job is done when this event comes; null where it does not tell. */
export function progressAt(event: TrainingEvent): number | null {
  if (event.type === "started") return PREPARED;
  if (event.type === "step") return PREPARED + (TRAINED - PREPARED) * (event.step / event.totalSteps);
  if (event.type === "saved") return SAVED[event.what];
  if (event.type === "transfer") {
    const share = event.totalBytes > 0 ? event.bytes / event.totalBytes : 1;
    if (event.direction === "download") return DOWNLOADED * share;
    return SAVED.merged + (SAVED.results - SAVED.merged) * share;
  }
  return null;
}

function facts(summary: Extract<TrainingEvent, { type: "started" }>["summary"]): JobMetadata {
  return {
    base_model: summary.baseModel,
    model_type: summary.modelType,
    adapter: summary.adapter,
    trainable_parameters: summary.trainableParameters,
    train_examples: summary.trainExamples,
    total_steps: summary.totalSteps,
  };
}
