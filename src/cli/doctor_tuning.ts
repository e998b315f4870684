/**
 * What the autotuner has measured on an adapter, and measuring it anew, for `doctor`.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { PipelineCache } from "../gpu/pipelines.ts";
import { chooseVariants, type Variants } from "../nn/variants.ts";
import type { Folder } from "../storage.ts";
import { TuningCache, type TuningEntry } from "../tuning/cache.ts";
import { FORMULAS, tileName } from "../tuning/describe.ts";
import { tune } from "../tuning/tuner.ts";
import { flopsOf, type TunedOp, type Work, workOf } from "../tuning/work.ts";

/** Tiles measured for one kind of product on the sizes of one model and batch. */
export interface TunedProducts {
  readonly op: TunedOp;
  readonly formula: string;
  /** Rows, columns and terms of a sum of the largest share, and how many sizes more there are. */
  readonly sizes: string;
  readonly operands: Variants["operands"];
  /** Fastest first. */
  readonly tiles: readonly TunedTile[];
  /** Of the latest, ISO 8601. */
  readonly measuredAt: string;
}

/** A tile's rate over all sizes. */
export interface TunedTile {
  readonly name: string;
  readonly gigaflops: number;
  /** Of its first pipeline. */
  readonly compileSeconds: number;
}

const SMOLLM2_VOCABULARY = 49152, TOKENS = 256, HEAD_ROWS = 64;

/** What `--retune` measures: a micro-batch of SmolLM2-135M, 256 tokens, every linear map with an update of rank 16. */
export const RETUNE_WORK: Work = workOf({
  maps: [
    { out: 576, in: 576, count: 60 },
    { out: 192, in: 576, count: 60 },
    { out: 1536, in: 576, count: 60 },
    { out: 576, in: 1536, count: 30 },
  ],
  head: { out: SMOLLM2_VOCABULARY, in: 576 },
  tokens: TOKENS,
  headRows: HEAD_ROWS,
  rank: 16,
});
/** A run so long that every candidate's compilation would pay. */
const MICRO_BATCHES = 1e6;

/** Measures every candidate tile on the work, and keeps what was measured in the folder. */
export async function retune(gpu: Gpu, folder: Folder | null, work: Work): Promise<void> {
  const bench = { gpu, pipelines: new PipelineCache(gpu), variants: chooseVariants(gpu) };
  const cache = await TuningCache.open(folder);
  await tune({ bench, work, microBatches: MICRO_BATCHES, cache, retune: true });
}

/** What the folder's measurements say of an adapter, those of the latest date first. */
export async function tunedProducts(adapter: string, folder: Folder | null): Promise<TunedProducts[]> {
  const { entries } = await TuningCache.open(folder);
  const groups = Map.groupBy(
    entries.filter((entry) => entry.adapter === adapter),
    ({ op, sizes, operands }) => JSON.stringify([op, sizes, operands]),
  );
  return [...groups.values()].map(productsOf).sort((a, b) => b.measuredAt.localeCompare(a.measuredAt));
}

function productsOf(entries: readonly TuningEntry[]): TunedProducts {
  const { op, sizes, operands } = entries[0]!;
  const flops = sizes.reduce((sum, size) => sum + flopsOf(size), 0);
  const tiles = entries.map(({ tile, seconds, compileSeconds }) => {
    return {
      name: tileName(tile as Parameters<typeof tileName>[0]),
      gigaflops: flops / seconds / 1e9,
      compileSeconds,
    };
  });
  const { rows, cols, inner } = sizes[0]!;
  const more = sizes.length > 1 ? ` and ${sizes.length - 1} more` : "";
  return {
    op,
    formula: FORMULAS[op],
    sizes: `${rows}x${cols}x${inner}${more}`,
    operands,
    tiles: tiles.sort((a, b) => b.gigaflops - a.gigaflops),
    measuredAt: entries.map(({ measuredAt }) => measuredAt).sort().at(-1)!,
  };
}
