/**
 * The variants of a run that is over, from what its record tells.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { chooseVariants, VARIANTS, type Variants } from "../nn/variants.ts";
import type { RunTiles } from "./for_run.ts";
import { TUNED_OPS } from "./work.ts";

/** How a run computed, as run.json keeps it. */
export interface RecordedKernels {
  /** What was chosen and why, for people. */
  readonly reason: string;
  readonly tiles: RunTiles;
}

/** What is asked of a record. */
export interface RecordedVariantsRequest {
  readonly gpu: Gpu;
  /** Name of the adapter that the run computed on. */
  readonly adapter: string;
  /** The run's option `variant`. */
  readonly setting: string;
  /** Undefined in records of earlier builds. */
  readonly kernels: RecordedKernels | undefined;
}

/**
 * The run's own variants, or the adapter's standing ones where the run's mean nothing: it computed on another adapter, its
 * record does not tell them, or they are of another make. The reason says which.
 */
export function recordedVariants({ gpu, adapter, setting, kernels }: RecordedVariantsRequest): Variants {
  const standing = chooseVariants(gpu);
  const instead = (why: string) => ({ ...standing, reason: `${standing.reason} (${why})` });
  if (kernels === undefined) return instead("the run does not tell its own tiles");
  if (adapter !== gpu.name) return instead(`the run chose for "${adapter}"`);
  const { tiles, reason } = kernels;
  const isKnown = TUNED_OPS.every((op) => keysOf(tiles[op]) === keysOf(standing[op]));
  if (!isKnown) return instead("the run's tiles are of another build");
  return { ...VARIANTS[setting as keyof typeof VARIANTS] ?? standing, ...tiles, reason };
}

const keysOf = (tile: object | undefined) => Object.keys(tile ?? {}).sort().join();
