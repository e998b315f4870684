/**
 * How long a run would take, by a step of it.
 *
 * @module
 */
import type { FineTuneJobConfig } from "../config.ts";
import { rowLengths } from "../data/token_rows.ts";
import type { Communicator } from "../distributed/communicator.ts";
import type { TrainingEvent } from "../job.ts";
import type { ModelManager } from "../model_manager.ts";
import type { PreparedRun } from "../prepared_run.ts";
import { ModelTrainer } from "../trainer.ts";
import { loadModel } from "./training.ts";

/** The first step compiles kernels. */
const MEASURED_STEP = 2;

/** What does the steps. */
export interface EstimateParts {
  readonly config: FineTuneJobConfig;
  readonly models: ModelManager;
  readonly ranks: Communicator;
  readonly signal: AbortSignal;
}

/**
 * Loads the model, does two steps, and tells how long all that are left would take at the second one's tokens per second.
 *
 * @throws {DivergedError} If a loss or gradient is not finite.
 */
export async function* estimated(
  run: PreparedRun,
  { config: { training }, models, ranks, signal }: EstimateParts,
): AsyncGenerator<TrainingEvent> {
  yield* loadModel(run, models, training.seed, signal);
  yield { type: "phase", stage: "train", message: "measuring a step" };
  const { model, data, steps: { totalSteps, stepsPerEpoch }, checkpoint } = run;
  const unevaluated = { ...data, eval: [], evalPacks: null };
  const trainer = new ModelTrainer(model, unevaluated, { ...training, loggingSteps: 1 }, undefined, ranks);
  let tokensPerSecond = 0;
  for await (const event of trainer.train(signal)) {
    if (event.type !== "step") continue;
    tokensPerSecond = event.tokensPerSecond;
    if (event.step === MEASURED_STEP) break;
  }
  const tokensPerEpoch = rowLengths(data.train).reduce((sum, length) => sum + length, 0);
  const stepSeconds = tokensPerEpoch / stepsPerEpoch / tokensPerSecond;
  const steps = totalSteps - (checkpoint?.record.step ?? 0);
  yield { type: "estimated", steps, seconds: steps * stepSeconds, stepSeconds, tokensPerSecond };
}
