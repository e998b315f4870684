/**
 * A model on the GPU with updates to train, and a batch to train them on: one full row of a fixed ramp of token ids, so
 * that nothing is skipped and another program can train on the same.
 *
 * @module
 */
import type { QuantizationWord } from "../src/config.ts";
import type { DispatchProfile } from "../src/gpu/profile.ts";
import { type MemoryRow } from "../src/job.ts";
import { memoryRows } from "../src/memory_plan.ts";
import { ModelManager } from "../src/model_manager.ts";
import type { ModelBatch, TrainableModel } from "../src/models/trainable_model.ts";
import { AdamW } from "../src/optim/adamw.ts";
import { LocalFolder } from "../src/storage/local.ts";
import type { BenchDevice } from "./part.ts";
import { fullBatch } from "./training_step.ts";

const LEARNING_RATE = 1e-4;
const ADAMW = { weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 1 };

/** What is trained, on rows of how many tokens. */
export interface StepSizes {
  readonly length: number;
  readonly rank: number;
  /** Compute every block's activations again in backward. Default false. */
  readonly recompute?: boolean;
  /** Default `none`. */
  readonly quantization?: QuantizationWord;
}

export class LoadedModel implements AsyncDisposable {
  readonly tokens: number;
  /** The plan, made before anything was allocated. */
  readonly planned: readonly MemoryRow[];
  readonly #model: TrainableModel;
  readonly #optimizer: AdamW;
  readonly #batch: ModelBatch;
  readonly #labelled: number;
  #steps = 0;

  private constructor(
    model: TrainableModel,
    optimizer: AdamW,
    batch: ModelBatch,
    planned: readonly MemoryRow[],
  ) {
    this.#model = model;
    this.#optimizer = optimizer;
    this.#batch = batch;
    this.#labelled = batch.targets.reduce((count, target) => count + (target >= 0 ? 1 : 0), 0);
    this.tokens = batch.rows * batch.length;
    this.planned = planned;
  }

  /** Loads a model folder or GGUF file with LoRA on all its linear maps, B zero; compiles the step. */
  static async open(
    { gpu, variants }: BenchDevice,
    folder: string,
    { length, rank, recompute = false, quantization = "none" }: StepSizes,
  ): Promise<LoadedModel> {
    const manager = new ModelManager((uri) => new LocalFolder(uri));
    const opened = await manager.open(folder);
    try {
      const base = ModelManager.quantized(opened, {
        loadIn4bit: quantization === "4bit",
        loadIn8bit: quantization === "8bit",
        doubleQuant: true,
      });
      const limits = { rows: 1, length, recompute: recompute ? base.config.numHiddenLayers : 0 };
      const lora = { rank, alpha: 2 * rank, targetModules: "all-linear" };
      const model = manager.plan(base, lora, { gpu, variants, limits });
      model.plan(["train"]);
      const planned = memoryRows(model);
      model.allocate();
      await model.decoder.load(base.weights);
      await manager.initialise(model, { kind: "seed", seed: 42 });
      const optimizer = await AdamW.create(model.resources, model.pool, model.sinks, ADAMW);
      const batch = fullBatch(model, 1, length);
      batch.targets[length - 1] = -1; // nothing follows the last token
      await model.prepare("train", 1, length);
      return new LoadedModel(model, optimizer, batch, planned);
    } finally {
      await opened.weights.close();
    }
  }

  /** Bytes of the frozen weights on the GPU; of those that are packed, bytes and values. */
  get base(): {
    readonly bytes: number;
    readonly packed: { readonly bytes: number; readonly values: number };
  } {
    const { bytes, packed } = this.#model.decoder;
    return { bytes, packed };
  }

  /** One optimizer step; gives the mean loss before it. @throws {Error} If a value is not finite. */
  async step(): Promise<number> {
    const model = this.#model;
    model.clearGradients();
    model.clearTotals();
    await model.accumulate(this.#batch, 1 / this.#labelled);
    this.#optimizer.step(++this.#steps, LEARNING_RATE);
    const { summedLoss, finite } = await model.totals();
    if (!finite) throw new Error(`Step ${this.#steps} of the timed model is not finite`);
    return summedLoss / this.#labelled;
  }

  /** Time of every launch of a step's forward and backward. @throws {RangeError} Without timestamp queries. */
  profile(): Promise<DispatchProfile> {
    return this.#model.profile(this.#batch);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model.resources.gpu.settle();
    this.#model.destroy();
  }
}
