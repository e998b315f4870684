/**
 * The products of a model's micro-batch, from its config.
 *
 * @module
 */
import type { ModelConfig } from "../models/config.ts";
import { linearPaths, type ModelFamily, weightShapes } from "../models/registry.ts";
import { headChunkRows } from "../nn/lm_head.ts";
import { type MapShape, type Work, workOf } from "./work.ts";

/** What is trained, and on how much. */
export interface ModelWorkRequest {
  /** Rows of a batch times their length. */
  readonly tokens: number;
  /** Rank of the update, taken as if every linear map had one. */
  readonly rank: number;
  /** As the adapter's variants have it. */
  readonly logitBytes: number;
}

/** Counts the products of one micro-batch. */
export function modelWork(
  family: ModelFamily,
  config: ModelConfig,
  { tokens, rank, logitBytes }: ModelWorkRequest,
): Work {
  const shapes = weightShapes(family, config);
  const counts = new Map<string, MapShape>();
  for (const path of linearPaths(family, config.numHiddenLayers)) {
    const [out, width] = shapes.get(`${path}.weight`) as readonly [number, number];
    const key = `${out}x${width}`;
    counts.set(key, { out, in: width, count: 1 + (counts.get(key)?.count ?? 0) });
  }
  return workOf({
    maps: [...counts.values()],
    head: { out: config.vocabSize, in: config.hiddenSize },
    tokens,
    headRows: headChunkRows(config.vocabSize, tokens, logitBytes),
    rank,
  });
}
