/**
 * Going on after the GPU was lost in the middle of a run: how often that is borne, and from where.
 *
 * @module
 */
import { readAdapter } from "../checkpoint/adapter.ts";
import { latestCheckpoint } from "../checkpoint/resume.ts";
import { GpuLostError, GpuMemoryError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { TrainingEvent } from "../job.ts";
import { ModelManager } from "../model_manager.ts";
import type { RunInputs } from "../prepared_run.ts";
import type { Folder } from "../storage.ts";
import { trainedPart } from "./residual.ts";

/** Errors after which another device can go on. */
export type DeviceLoss = GpuLostError | GpuMemoryError;

/** The loss of a device that is behind an error; null where another device would not help. */
export async function lossBehind(
  error: unknown,
  gpu: Gpu | null,
  signal: AbortSignal | undefined,
): Promise<DeviceLoss | null> {
  if (gpu === null || signal?.aborted || !(error instanceof Error)) return null;
  return await gpu.breakdown();
}

/** Counts the devices that one run has lost. */
export class Recoveries {
  readonly #most: number;
  #losses = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Takes a loss; gives the event that tells of it.
   *
   * @param step Steps of the checkpoint to go on from; 0 for none.
   * @throws {GpuLostError} @throws {GpuMemoryError} As the loss is, if there were too many.
   */
  add(loss: DeviceLoss, step: number): Extract<TrainingEvent, { type: "device_lost" }> {
    const most = this.#most, recovery = ++this.#losses;
    if (recovery <= most) {
      return { type: "device_lost", message: loss.message, step, recovery, mostRecoveries: most };
    }
    const kept = step > 0
      ? `the checkpoint after step ${step} is intact, resume auto goes on from it`
      : "no checkpoint was written yet, start the run anew";
    const often = recovery === 1 ? "once" : `${recovery} times`;
    const message = `${loss.message}. Cannot go on as the run has lost its GPU ${often} and ` +
      `max_device_recoveries is ${most}: ${kept}`;
    throw loss instanceof GpuLostError
      ? new GpuLostError(message, { cause: loss })
      : new GpuMemoryError(message, { cause: loss });
  }
}

/**
 * The same run from the newest whole checkpoint that it has written, or from its start.
 *
 * @param output Holds checkpoints of this run only.
 */
export async function fromLastCheckpoint(inputs: RunInputs, output: Folder): Promise<RunInputs> {
  const { checkpoint } = await latestCheckpoint(output);
  const saved = checkpoint ? await readAdapter(checkpoint.folder) : await inputs.readStart();
  const named = saved && ModelManager.named(inputs.base, saved);
  return { ...inputs, checkpoint, start: named && trainedPart(inputs.residual, named) };
}
