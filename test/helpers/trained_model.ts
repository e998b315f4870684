/**
 * A tiny model on the GPU that trainer tests train from the start, and rows for it.
 *
 * @module
 */
import { parseFineTuneJobConfig, type TrainingConfig } from "../../src/config.ts";
import type { TokenizedExample } from "../../src/data/example.ts";
import type { OpenDevice } from "../../src/fine_tune_job.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { ModelManager } from "../../src/model_manager.ts";
import type { TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { ModelTrainer, type TrainerData } from "../../src/trainer.ts";
import { device, onGpu } from "./device.ts";
import { TINY_CONFIG, writeTinyModel } from "./tiny_model.ts";

type StepEvent = Extract<TrainingEvent, { type: "step" }>;
type EvalEvent = Extract<TrainingEvent, { type: "evaluated" }>;

/** Rows of the largest batch. */
export const MAX_ROWS = 4;
export const LORA = { rank: 8, alpha: 16, targetModules: "all-linear" } as const;

/** One model for the whole file: parameters are set anew for each run. */
export const fixture = device && await openModel(device);

/** A model on the device, its parameters not drawn yet, and what draws them. */
export async function openModel(
  { gpu, pipelines }: OpenDevice,
): Promise<{ model: TrainableModel; manager: ModelManager }> {
  const folder = new MemoryFolder("tiny");
  await writeTinyModel(folder);
  const manager = new ModelManager(() => folder);
  const base = await manager.open("tiny");
  const limits = { rows: MAX_ROWS, length: 16 };
  const model = manager.plan(base, LORA, { gpu, pipelines, variants: chooseVariants(gpu), limits });
  model.allocate();
  await model.decoder.load(base.weights);
  return { model, manager };
}

/** Declares a test with the model. */
export function onModel(name: string, test: (model: TrainableModel) => Promise<void>): void {
  onGpu(name, () => test(fixture!.model));
}

/** Rows of 3 to 12 tokens; the first `untrained` of each have no label. */
export function examples(count: number, untrained = 1): TokenizedExample[] {
  return Array.from({ length: count }, (_, row) => {
    const inputIds = Int32Array.from(
      { length: 3 + (row * 5) % 10 },
      (_, t) => (row * 37 + t * t * 11 + 5) % TINY_CONFIG.vocab_size,
    );
    return { inputIds, labels: inputIds.map((id, t) => t < untrained ? -100 : id) };
  });
}

/** Options of training, with a constant rate unless told otherwise. */
export function settings(wire: Record<string, unknown>): TrainingConfig {
  return parseFineTuneJobConfig({
    base_model: "tiny",
    output_model_name: "run",
    training_data_path: "train.jsonl",
    lr_scheduler_type: "constant",
    eval_batch_size: MAX_ROWS,
    ...wire,
  }).training;
}

/** What a run told, and the parameters that it left. */
export interface Run {
  readonly events: readonly TrainingEvent[];
  readonly steps: readonly StepEvent[];
  readonly evaluations: readonly EvalEvent[];
  readonly parameters: ReadonlyMap<string, Float32Array>;
}

/** Draws the start values anew and lowers the flag of values that are not finite. */
export async function reset(model: TrainableModel, seed: number): Promise<void> {
  await fixture!.manager.initialise(model, { kind: "seed", seed });
  const { device } = model.resources.gpu;
  device.queue.writeBuffer(model.sinks.flags.buffer!, 0, Uint32Array.of(0));
}

/** Trains from the start values of the configuration's seed. */
export async function train(
  model: TrainableModel,
  wire: Record<string, unknown>,
  data: Partial<TrainerData> = {},
  now?: () => number,
): Promise<Run> {
  const config = settings(wire);
  await reset(model, config.seed);
  const trainer = new ModelTrainer(model, { train: examples(8), eval: [], padId: 0, ...data }, config, now);
  const events = await Array.fromAsync(trainer.train(new AbortController().signal));
  return {
    events,
    steps: events.filter((event) => event.type === "step"),
    evaluations: events.filter((event) => event.type === "evaluated"),
    parameters: await model.pool.read(),
  };
}

/** All values in one list. */
export const flat = (parameters: ReadonlyMap<string, Float32Array>) =>
  Float32Array.from([...parameters.values()].flatMap((values) => [...values]));
