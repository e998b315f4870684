/**
 * Tiles that are worth timing, by kind of adapter and class of product, cheapest to compile first. What an adapter cannot
 * run is left out by `tileFits()`.
 *
 * No f16 tile is among them: it changes the result and is a choice of its own.
 *
 * @module
 */
import {
  registerTile,
  sharedTile,
  subgroupTile,
  type Tile,
  vectorTile,
} from "../../kernels/matmul/kernel.ts";
import type { AdapterKind, TileClass } from "./variants.ts";

/** A tile and what trying it costs. */
export interface TileCandidate {
  readonly tile: Tile;
  /**
   * Seconds of compiling one pipeline: on software adapters as measured on two EPYC cores (llvmpipe of Mesa 22.3.6,
   * SwiftShader of Chromium, 2026-11-24), on hardware a guess.
   */
  readonly compileSeconds: number;
}

const of = (compileSeconds: number, tile: Tile): TileCandidate => ({ tile, compileSeconds });

/** Lanes of 8 fill one vector register; taller and wider tiles read less often and compile longer. */
const LLVMPIPE: Readonly<Record<TileClass, readonly TileCandidate[]>> = {
  forward: [
    of(0.3, registerTile(8, 8, 8)),
    of(0.6, registerTile(16, 8, 8)),
    of(1, registerTile(16, 12, 8)),
    of(1.3, registerTile(16, 16, 8)),
    of(1.8, registerTile(32, 8, 8)),
    of(2.6, registerTile(32, 12, 8)),
    of(3.8, registerTile(32, 16, 8)),
  ],
  backwardInput: [
    of(0.6, registerTile(16, 2, 8)),
    of(1, registerTile(16, 3, 8)),
    of(1.3, registerTile(16, 4, 8)),
    of(1.8, registerTile(32, 2, 8)),
    of(2.6, registerTile(32, 3, 8)),
    of(3.5, registerTile(32, 4, 8)),
  ],
  backwardFactor: [
    of(0.2, registerTile(2, 1, 8)),
    of(0.3, registerTile(2, 2, 8)),
    of(0.4, registerTile(4, 1, 8)),
  ],
  narrow: [of(0.2, registerTile(8, 8, 8)), of(0.3, registerTile(16, 8, 8)), of(0.6, registerTile(32, 8, 8))],
  vector: [of(0.2, registerTile(4, 8, 8)), of(0.3, registerTile(4, 16, 8))],
};

const SOFTWARE: Readonly<Record<TileClass, readonly TileCandidate[]>> = {
  forward: [
    of(0.2, registerTile(8, 4, 8)),
    of(0.25, registerTile(8, 8, 4)),
    of(0.6, registerTile(16, 8, 8)),
    of(1.5, registerTile(16, 16, 8)),
  ],
  backwardInput: [
    of(0.2, registerTile(8, 1, 8)),
    of(0.25, registerTile(8, 2, 8)),
    of(0.6, registerTile(16, 2, 8)),
  ],
  backwardFactor: [of(0.2, registerTile(2, 1, 8)), of(0.3, registerTile(2, 2, 8))],
  narrow: [of(0.2, registerTile(8, 4, 8)), of(0.4, registerTile(16, 4, 8))],
  vector: [of(0.1, registerTile(4, 4, 8)), of(0.2, registerTile(4, 8, 8))],
};

const HARDWARE: Readonly<Record<TileClass, readonly TileCandidate[]>> = {
  forward: [
    of(0.1, sharedTile({ rows: 4, cols: 4, lanes: 8, laneRows: 8, depth: 32 })),
    of(0.1, subgroupTile(8, 4, 64)),
    of(0.1, registerTile(8, 8, 8, 8)),
    of(0.1, registerTile(8, 8, 16, 16)),
    of(0.1, sharedTile({ rows: 4, cols: 4, lanes: 16, laneRows: 16, depth: 16 })),
    of(0.1, sharedTile({ rows: 8, cols: 8, lanes: 8, laneRows: 8, depth: 16 })),
    of(0.1, sharedTile({ rows: 8, cols: 4, lanes: 16, laneRows: 16, depth: 16 })),
  ],
  backwardInput: [
    of(0.1, sharedTile({ rows: 4, cols: 1, lanes: 8, laneRows: 8, depth: 32 })),
    of(0.1, subgroupTile(8, 1, 64)),
    of(0.1, registerTile(8, 2, 8, 8)),
    of(0.1, sharedTile({ rows: 4, cols: 1, lanes: 16, laneRows: 16, depth: 16 })),
    of(0.1, sharedTile({ rows: 8, cols: 2, lanes: 8, laneRows: 8, depth: 16 })),
    of(0.1, sharedTile({ rows: 8, cols: 1, lanes: 16, laneRows: 16, depth: 16 })),
  ],
  backwardFactor: [
    of(0.1, vectorTile(2, 1, 8, 8)),
    of(0.1, registerTile(2, 1, 64)),
    of(0.1, subgroupTile(2, 1, 64)),
    of(0.1, sharedTile({ rows: 1, cols: 1, lanes: 16, laneRows: 4, depth: 16 })),
  ],
  narrow: [
    of(0.1, vectorTile(4, 1, 8, 8)),
    of(0.1, vectorTile(4, 1, 4, 16)),
    of(0.1, sharedTile({ rows: 4, cols: 2, lanes: 8, laneRows: 8, depth: 32 })),
  ],
  vector: [
    of(0.1, vectorTile(4, 1, 4, 16)),
    of(0.1, vectorTile(4, 1, 2, 32)),
    of(0.1, vectorTile(4, 2, 8, 16)),
  ],
};

export const CANDIDATES: Readonly<Record<AdapterKind, typeof LLVMPIPE>> = {
  llvmpipe: LLVMPIPE,
  software: SOFTWARE,
  hardware: HARDWARE,
};
