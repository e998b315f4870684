import { requirements, type Tile } from "../../kernels/matmul/kernel.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { CANDIDATES } from "../../src/nn/tile_candidates.ts";
import { TILE_CLASSES, type TileClass, VARIANTS } from "../../src/nn/variants.ts";
import { onEveryAdapter, type TestAdapter } from "../helpers/gpu.ts";
import {
  checkBackwardFactor,
  checkBackwardInput,
  checkForward,
  onFeature,
  type ProductSize,
} from "../helpers/products.ts";

/** Beyond one tile of most, and no multiple of any; few steps, since software adapters pay for each. */
const SIZES: Readonly<Record<TileClass, ProductSize>> = {
  forward: { rows: 67, cols: 131, inner: 36, rank: 5 },
  backwardInput: { rows: 67, cols: 132, inner: 37, rank: 5 },
  backwardFactor: { rows: 37, cols: 132, inner: 1, rank: 11 },
  narrow: { rows: 19, cols: 11, inner: 76, rank: 3 },
  vector: { rows: 3, cols: 71, inner: 76, rank: 3 },
};
const CHECKS = {
  forward: checkForward,
  backwardInput: checkBackwardInput,
  backwardFactor: checkBackwardFactor,
};

/** Each tile once, though several presets have it; the source is that of the adapters that it is for. */
interface Case {
  readonly tile: Tile;
  readonly tileClass: TileClass;
  readonly source: OperandSource;
}

function casesOf(kind: "llvmpipe" | "software" | "hardware"): Case[] {
  const cases = new Map<string, Case>();
  const add = (tile: Tile, tileClass: TileClass) => {
    const source = kind === "llvmpipe" ? "texture" : "vec4";
    cases.set(`${tileClass} ${JSON.stringify(tile)}`, { tile, tileClass, source });
  };
  for (const tileClass of Object.keys(TILE_CLASSES) as TileClass[]) {
    for (const [name, variants] of Object.entries(VARIANTS)) {
      const of = name.startsWith("llvmpipe") ? "llvmpipe" : name === "software" ? "software" : "hardware";
      if (of === kind) add(variants[tileClass], tileClass);
    }
    for (const { tile } of CANDIDATES[kind][tileClass]) add(tile, tileClass);
  }
  return [...cases.values()];
}

/** Registers of the largest tile that is tried: larger ones take seconds to compile and are more of the same. */
const MOST_REGISTERS = { llvmpipe: 128, software: 64, hardware: 64 };

function isTried({ tile, tileClass }: Case, kind: keyof typeof MOST_REGISTERS): boolean {
  const each = { forward: 1, backwardInput: 4, backwardFactor: 16 }[TILE_CLASSES[tileClass]];
  return tile.TILE_ROWS * tile.TILE_COLS * each <= MOST_REGISTERS[kind];
}

async function check(adapter: TestAdapter, cases: readonly Case[]): Promise<void> {
  for (const { tile, tileClass, source } of cases) {
    await CHECKS[TILE_CLASSES[tileClass]](adapter, SIZES[tileClass], { tile, source, fullOnly: true });
  }
}

for (const kind of ["llvmpipe", "software", "hardware"] as const) {
  for (const tileClass of Object.keys(TILE_CLASSES) as TileClass[]) {
    const cases = casesOf(kind).filter((of) => of.tileClass === tileClass && isTried(of, kind));
    const byFeature = Map.groupBy(
      cases,
      ({ tile }) => requirements(TILE_CLASSES[tileClass], tile).features[0] ?? null,
    );
    for (const [feature, of] of byFeature) {
      const name = `tiles for ${tileClass} products on ${kind} match the f64 reference`;
      if (feature) onFeature(feature, `${name}, with ${feature}`, (adapter) => check(adapter, of));
      // Tint takes longest over tiles that were made for llvmpipe
      else {onEveryAdapter(name, (adapter) =>
          check(adapter, of), kind === "llvmpipe" ? ["deno-default"] : ["deno-default", "dawn"]);}
    }
  }
}
