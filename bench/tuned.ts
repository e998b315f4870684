/**
 * Tiles for a part's own products, as a long run measures and takes them.
 *
 * @module
 */
import { PipelineCache } from "../src/gpu/pipelines.ts";
import { TuningCache } from "../src/tuning/cache.ts";
import { tune } from "../src/tuning/tuner.ts";
import type { Work } from "../src/tuning/work.ts";
import type { BenchDevice, BenchOptions } from "./part.ts";

/** So many micro-batches make every candidate worth compiling. */
const LONG_RUN = 1e5;

/** The device with tiles measured on these products; as it is where a variant was asked for. */
export async function tunedFor(
  device: BenchDevice,
  { tunes }: Pick<BenchOptions, "tunes">,
  work: Work,
): Promise<BenchDevice> {
  if (!tunes) return device;
  const { gpu, variants } = device;
  const bench = { gpu, pipelines: new PipelineCache(gpu), variants };
  const cache = await TuningCache.open(null);
  const tuned = await tune({ bench, work, microBatches: LONG_RUN, cache, retune: true });
  return { gpu, variants: tuned.variants };
}
