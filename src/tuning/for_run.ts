/**
 * The variants that a run computes with: those it is told to take, those of the checkpoint it goes on from, or the tuner's.
 *
 * @module
 */
import type { Tile } from "../../kernels/matmul/kernel.ts";
import { ConfigError } from "../errors.ts";
import { chooseVariants, variantFits, VARIANTS, type Variants } from "../nn/variants.ts";
import type { Gpu } from "../gpu/device.ts";
import type { PipelineCache } from "../gpu/pipelines.ts";
import type { Folder } from "../storage.ts";
import { TuningCache } from "./cache.ts";
import { tune } from "./tuner.ts";
import { TUNED_OPS, type TunedOp, type Work } from "./work.ts";

/** Tiles of a run, as a checkpoint keeps them: the same tiles give the same bits. */
export type RunTiles = Readonly<Record<TunedOp, Tile>>;

/** What the variants of a run follow from. */
export interface RunVariantsRequest {
  readonly gpu: Gpu;
  readonly pipelines: PipelineCache;
  /** A name of {@link VARIANTS}, or `auto`. */
  readonly setting: string;
  readonly work: Work;
  /** Micro-batches to come. */
  readonly microBatches: number;
  /** Tiles of the checkpoint to go on from; null for a run from its start. */
  readonly tiles: RunTiles | null;
  /** Where measurements are kept; null keeps none. */
  readonly folder: Folder | null;
  /** Measure again what is known. */
  readonly retune: boolean;
  readonly signal?: AbortSignal;
}

/** @throws {ConfigError} If the variant that was asked for cannot run on this adapter. */
export async function variantsForRun(request: RunVariantsRequest): Promise<Variants> {
  const { gpu, pipelines, setting, work, microBatches, tiles, folder, retune, signal } = request;
  if (setting !== "auto") return named(gpu, setting as keyof typeof VARIANTS);
  const standing = chooseVariants(gpu);
  if (tiles) return { ...standing, ...tiles, reason: `${standing.reason}; tiles as in the checkpoint` };
  const bench = { gpu, pipelines, variants: standing };
  const cache = await TuningCache.open(folder);
  const tuned = await tune({ bench, work, microBatches, cache, retune, ...(signal ? { signal } : {}) });
  return tuned.variants;
}

/** The part of variants that decides bits and may be measured. */
export function tilesOf(variants: Variants): RunTiles {
  return Object.fromEntries(TUNED_OPS.map((op) => [op, variants[op]])) as Record<TunedOp, Tile>;
}

function named(gpu: Gpu, name: keyof typeof VARIANTS): Variants {
  const variants = VARIANTS[name];
  const reason = variantFits(gpu, variants);
  if (reason === null) return { ...variants, reason: `${variants.reason} (as asked for by variant ${name})` };
  throw new ConfigError([{
    path: "variant",
    message: `${name} cannot run here: ${reason}; take auto, or ${fitting(gpu).join(", ")}`,
  }]);
}

const fitting = (gpu: Gpu) =>
  Object.entries(VARIANTS).flatMap(([name, variants]) => variantFits(gpu, variants) === null ? [name] : []);
