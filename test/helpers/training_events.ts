/**
 * What a run tells, for tests that have a process tell it.
 *
 * @module
 */
import type { TrainingEvent } from "../../src/job.ts";

/** The run begins. */
export const started = (totalSteps: number): TrainingEvent => ({
  type: "started",
  summary: {
    baseModel: "/srv/data/models/tiny",
    modelType: "llama",
    totalParameters: 10,
    trainableParameters: 5,
    adapter: "GPU",
    softwareAdapter: false,
    choices: [],
    trainExamples: 3,
    evalExamples: 0,
    trainableTokensPerEpoch: 9,
    totalSteps,
    stepsPerEpoch: totalSteps,
    effectiveBatchSize: 1,
    memory: [],
  },
});

/** A step is done. */
export const step = (number: number, totalSteps = 4): TrainingEvent => ({
  type: "step",
  step: number,
  totalSteps,
  epoch: number / totalSteps,
  loss: 2 / number,
  learningRate: 1e-4,
  gradNorm: 1,
  tokenAccuracy: 0.5,
  trainedTokens: 3,
  tokens: 3 * number,
  tokensPerSecond: 10,
  etaSeconds: totalSteps - number,
});

/** A checkpoint is on the disk. */
export const checkpointed = (number: number): TrainingEvent => ({
  type: "checkpointed",
  step: number,
  path: `/srv/data/checkpoint-${number}`,
});
