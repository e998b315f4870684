/**
 * The autotuner: the tiles that a run computes its products with, chosen by measuring on the run's own sizes.
 *
 * @module
 */
import { kernelText } from "../gpu/kernel.ts";
import { forwardKernel, loraBackwardA, matmulBackwardInput, type Tile } from "../../kernels/matmul/kernel.ts";
import { CANDIDATES } from "../nn/tile_candidates.ts";
import { adapterKind, TILE_CLASSES, tileFits, type Variants } from "../nn/variants.ts";
import { runtimeVersion } from "../version.ts";
import { type TuningCache, tuningKey } from "./cache.ts";
import { type Choice, chooseTile, type Measurement } from "./choose.ts";
import { describeChoice } from "./describe.ts";
import { type Bench, measureTile } from "./measure.ts";
import { totalFlops, TUNED_OPS, type TunedOp, type Work } from "./work.ts";

/** What is tuned, for which run. */
export interface TuneRequest {
  /** The adapter, with the variants that stand until something better is measured. */
  readonly bench: Bench;
  readonly work: Work;
  /** Micro-batches to come. */
  readonly microBatches: number;
  readonly cache: TuningCache;
  /** Measure again what the cache knows. Default false. */
  readonly retune?: boolean;
  readonly signal?: AbortSignal;
}

/** The variants to run with, and why. */
export interface Tuned {
  readonly variants: Variants;
  readonly choices: Readonly<Partial<Record<TunedOp, Choice<Tile>>>>;
}

/** Pipelines that a step compiles with a tile of each kind: with and without update and residual, for the head. */
const PIPELINES: Readonly<Record<TunedOp, number>> = {
  forward: 3,
  backwardInput: 3,
  narrow: 1,
  backwardFactor: 2,
};

/** A run whose products take less than this by a cautious guess is not tuned: measuring would cost what it gains. */
const LEAST_SECONDS = 15;
/** Guesses of what the standing variants reach, floating-point operations a second. */
const SOFTWARE_RATE = 12e9, HARDWARE_RATE = 1e12;

/**
 * Chooses a tile for each kind of product. Measurements are taken from the cache where it has them; a candidate that was
 * too slow to compile for an earlier, shorter run is measured when a longer one comes.
 *
 * @throws The signal's reason, between two measurements, when it is aborted.
 */
export async function tune(request: TuneRequest): Promise<Tuned> {
  const { bench, work, microBatches, cache, signal } = request;
  const rate = bench.gpu.software ? SOFTWARE_RATE : HARDWARE_RATE;
  const guess = microBatches * totalFlops(work) / rate;
  if (guess < LEAST_SECONDS && !request.retune) return { variants: bench.variants, choices: {} };
  const choices: Partial<Record<TunedOp, Choice<Tile>>> = {};
  for (const op of TUNED_OPS) {
    if (work[op].length === 0) continue;
    const run = { microBatches, pipelines: PIPELINES[op] };
    choices[op] = await chooseTile(bench.variants[op], candidatesFor(bench, op), run, (tile) => {
      signal?.throwIfAborted();
      return cached(request, op, tile);
    });
  }
  await cache.save();
  const tiles = Object.fromEntries(TUNED_OPS.flatMap((op) => choices[op] ? [[op, choices[op].tile]] : []));
  const lines = TUNED_OPS.flatMap((op) => choices[op] ? [describeChoice(op, choices[op], work[op])] : []);
  const reason = `matmul operands from ${bench.variants.operands} (${bench.gpu.name}); measured: ${
    lines.join("; ")
  }`;
  return { variants: { ...bench.variants, ...tiles, reason }, choices };
}

/** Tiles that the adapter can run, but for the one that stands. */
function candidatesFor({ gpu, variants }: Bench, op: TunedOp) {
  const standing = JSON.stringify(variants[op]);
  return CANDIDATES[adapterKind(gpu)][op].filter(({ tile }) =>
    JSON.stringify(tile) !== standing && tileFits(gpu, TILE_CLASSES[op], tile) === null
  );
}

async function cached(
  { bench, work, cache, retune = false }: TuneRequest,
  op: TunedOp,
  tile: Tile,
): Promise<Measurement> {
  const { gpu, variants } = bench;
  const sizes = work[op];
  const key = await tuningKey({
    adapter: gpu.name,
    runtime: runtimeVersion(),
    features: [...gpu.features].sort(),
    operands: variants.operands,
    op,
    sizes,
    text: textOf(op, tile),
  });
  const known = cache.get(key);
  // the driver keeps what it compiled: the next process finds it
  if (known && !retune) return { seconds: known.seconds, compileSeconds: 0 };
  const measured = await measureTile(bench, op, tile, sizes);
  const { operands } = variants, measuredAt = new Date().toISOString();
  cache.set(key, { adapter: gpu.name, op, sizes, operands, tile, measuredAt, ...measured });
  return measured;
}

/** The kernel whose text a tile stands for; any source of operands tells tiles and generators apart. */
function textOf(op: TunedOp, tile: Tile): string {
  const sources = { x: "vec4", w: "vec4", left: "vec4", right: "vec4" } as const;
  if (op === "backwardFactor") return kernelText(loraBackwardA, sources, tile);
  if (op === "backwardInput") return kernelText(matmulBackwardInput("set", 4), sources, tile);
  return kernelText(forwardKernel({ lowRank: false, bias: false, addend: false }), sources, tile);
}
