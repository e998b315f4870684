/**
 * Models for generation tests: the tiny model on a GPU, with an adapter or without, and its slow, cacheless twin.
 *
 * @module
 */
import { GREEDY, nextToken } from "../../src/generate/sampling.ts";
import { ModelManager } from "../../src/model_manager.ts";
import type { TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants, type Variants } from "../../src/nn/variants.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { ramp } from "../helpers/fill.ts";
import type { TestAdapter } from "../helpers/gpu.ts";
import { type TinyModelOptions, writeTinyModel } from "../helpers/tiny_model.ts";

const RANK = 3;

export interface TinyOptions extends TinyModelOptions {
  /** Whether an update lies on every linear map; default false. */
  readonly adapted?: boolean;
  /** Whether the update has magnitudes; default false. */
  readonly useDora?: boolean;
  readonly variants?: Variants;
  /** Longest row that the cacheless twin takes; default 24. */
  readonly length?: number;
}

/** The tiny model, loaded. */
export async function openTinyModel(
  { gpu, pipelines }: Pick<TestAdapter, "gpu" | "pipelines">,
  { adapted = false, useDora = false, variants = chooseVariants(gpu), length = 24, ...files }: TinyOptions =
    {},
): Promise<TrainableModel> {
  const folder = new MemoryFolder("tiny");
  await writeTinyModel(folder, files);
  const manager = new ModelManager(() => folder), base = await manager.open("tiny");
  const lora = { rank: RANK, alpha: 6, targetModules: "all-linear", useDora };
  const limits = { rows: 1, length };
  const model = manager.plan(base, adapted ? lora : null, { gpu, pipelines, variants, limits });
  model.allocate();
  await model.decoder.load(base.weights);
  model.pool.parameters.forEach((parameter, i) => {
    model.pool.write(parameter, ramp(parameter.value.bytes / 4, { scale: 0.3, phase: i }));
  });
  await base.weights.close();
  return model;
}

/** Random models like to repeat themselves; this makes them say something else. */
export const TALKATIVE = { ...GREEDY, repetitionPenalty: 9 };

/** Tokens by a whole forward pass a token, chosen as {@link TALKATIVE} says. */
export async function tokensWithoutCache(
  model: TrainableModel,
  prompt: readonly number[],
  newTokens: number,
): Promise<number[]> {
  const ids = [...prompt], vocab = model.decoder.config.vocabSize;
  for (let i = 0; i < newTokens; i++) {
    const last = (await logitsWithoutCache(model, ids)).subarray((ids.length - 1) * vocab);
    ids.push(nextToken(last, new Set(ids), TALKATIVE, { row: 0, step: i }));
  }
  return ids.slice(prompt.length);
}

/** Logits [tokens, V] of one row. */
export function logitsWithoutCache(model: TrainableModel, ids: readonly number[]): Promise<Float32Array> {
  return model.logits({
    rows: 1,
    length: ids.length,
    inputIds: Uint32Array.from(ids),
    targets: new Int32Array(ids.length),
    lengths: Uint32Array.of(ids.length),
  });
}
