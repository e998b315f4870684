/**
 * What the autotuner chose and why, in words.
 *
 * @module
 */
import type { Tile } from "../../kernels/matmul/kernel.ts";
import type { Choice } from "./choose.ts";
import { flopsOf, type ProductSize, type TunedOp } from "./work.ts";

/** Products by kind, as papers write them. */
export const FORMULAS: Readonly<Record<TunedOp, string>> = {
  forward: "x·wᵀ",
  backwardInput: "dy·w",
  narrow: "x·Aᵀ",
  backwardFactor: "vᵀ·x",
};

/** Such as `x·wᵀ 32x12 at 19.2 GFLOP/s (16x8 15.9, 16x12 17.0; 32x16 not tried: the run is too short ...)`. */
export function describeChoice(
  op: TunedOp,
  { tile, trials }: Choice<Tile>,
  sizes: readonly ProductSize[],
): string {
  const flops = sizes.reduce((sum, size) => sum + flopsOf(size), 0);
  const rate = (seconds: number) => (flops / seconds / 1e9).toFixed(1);
  let chosen = "";
  const others: string[] = [], untried: string[] = [];
  for (const { tile: tried, result } of trials) {
    const name = tileName(tried);
    if ("skipped" in result) untried.push(`${name} not used: ${result.skipped}`);
    else if (tried === tile) chosen = `${name} at ${rate(result.seconds)} GFLOP/s`;
    else others.push(`${name} ${rate(result.seconds)}`);
  }
  const rest = [others.join(", "), ...untried].filter((part) => part !== "").join("; ");
  return `${FORMULAS[op]} ${chosen}${rest ? ` (${rest})` : ""}`;
}

/**
 * A reason taken apart at the semicolons that are in no parentheses: `matmul operands from texture (llvmpipe); measured:
 * x·wᵀ 32x12 ...; dy·w ...` is a line for each kind of product.
 */
export function reasonLines(reason: string): string[] {
  const lines = [""];
  let depth = 0;
  for (const letter of reason) {
    if (letter === "(") depth++;
    else if (letter === ")") depth--;
    if (letter === ";" && depth === 0) lines.push("");
    else lines.push(lines.pop()! + letter);
  }
  return lines.map((line) => line.trim()).filter((line) => line !== "");
}

/** A tile's short name: registers of a lane, how they are fed, and the lanes. */
export function tileName(tile: Tile): string {
  const { TILE_ROWS, TILE_COLS, LANES, LANE_ROWS, DEPTH, HALF, SUBGROUP, K_LANES } = tile;
  const registers = `${TILE_ROWS}x${TILE_COLS}`;
  if (DEPTH) {
    return `shared ${registers} on ${LANE_ROWS}x${LANES} lanes, depth ${DEPTH}${HALF ? ", f16" : ""}`;
  }
  if (SUBGROUP) return `subgroup ${registers} on ${LANES} lanes`;
  if (K_LANES! > 1) return `${registers}, ${K_LANES} lanes a sum`;
  return LANES === 8 ? registers : `${registers} on ${LANE_ROWS}x${LANES} lanes`;
}
