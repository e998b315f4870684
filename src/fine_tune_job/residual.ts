/**
 * Runs whose updates begin with a part of the base (PiSSA, OLoRA): taking it out, and finding it again in a checkpoint.
 *
 * @module
 */
import { type Adapter, loraKey } from "../checkpoint/adapter.ts";
import { fromPlainForm } from "../checkpoint/plain_form.ts";
import { ResidualWeights } from "../checkpoint/residual_weights.ts";
import type { TrainingEvent } from "../job.ts";
import { type BaseModel, type LoraSettings, loraTargets } from "../model_manager.ts";
import { decomposedFactors, type DecomposedInit, isDecomposed } from "../optim/decomposed_init.ts";

/** Maps from one report of progress to the next. */
const MAPS_A_MESSAGE = 20;

/** What is left of the base; null for starts that leave it whole. */
export function residualOf(base: BaseModel, lora: LoraSettings): ResidualWeights | null {
  return isDecomposed(lora.init) ? new ResidualWeights(base.weights, loraTargets(base, lora)) : null;
}

/** Of an adapter that such a run saved, what is trained; the rest is what the run began with. */
export function trainedPart(residual: ResidualWeights | null, saved: Adapter): Adapter {
  if (!residual) return saved;
  const { adapter, initial } = fromPlainForm(saved);
  residual.begin(initial);
  return adapter;
}

/** Computes the start of every map, on the CPU, and takes it out of the base. */
export async function* decompose(
  residual: ResidualWeights,
  base: BaseModel,
  init: DecomposedInit,
  seed: number,
  signal: AbortSignal,
): AsyncGenerator<TrainingEvent> {
  const initial = new Map<string, Float32Array>(), all = residual.targets.size;
  for (const [path, { rank, scaling }] of residual.targets) {
    if (initial.size % (2 * MAPS_A_MESSAGE) === 0) {
      yield {
        type: "phase",
        message: `decomposing weights for ${init}, map ${initial.size / 2 + 1} of ${all}`,
      };
    }
    signal.throwIfAborted();
    const name = `${path}.weight`, [rows, cols] = base.weights.infos.get(name)!.shape as [number, number];
    const values = Float64Array.from(await base.weights.readRowsF32(name, 0, rows));
    const { loraA, loraB } = decomposedFactors(init, { rows, cols, values }, {
      rank,
      scaling,
      name: path,
      seed,
    });
    initial.set(loraKey(path, "A"), loraA).set(loraKey(path, "B"), loraB);
  }
  residual.begin(initial);
}
