/**
 * The goldens with every variant forced in turn, as a table: which ran where, and how far from PyTorch it was at most.
 *
 * @module
 */
import type { Gpu } from "../../src/gpu/device.ts";
import { variantFits, VARIANTS } from "../../src/nn/variants.ts";
import type { Folder } from "../../src/storage.ts";
import { type GoldenOptions, runGolden } from "./golden_cases.ts";

/** One line of the table. */
export interface VariantRow {
  readonly variant: VariantName;
  readonly adapter: string;
  readonly outcome: "passed" | "failed" | "cannot run";
  /** The comparison nearest to its limit, or those that failed, or why nothing ran. */
  readonly detail: string;
}

/** Marks lines of the table in the output of tests. */
export const TABLE_MARK = "variant |";

/** A name of {@link VARIANTS}. */
export type VariantName = keyof typeof VARIANTS;

export const VARIANT_NAMES = Object.keys(VARIANTS) as VariantName[];

/** What of the goldens is run, with which variants; default all. */
export interface TableOptions extends Omit<GoldenOptions, "variants"> {
  readonly names?: readonly VariantName[];
}

/** Runs each variant that fits the adapter and names the others. */
export async function* runVariants(
  gpu: Gpu,
  root: Folder,
  { names = VARIANT_NAMES, ...options }: TableOptions = {},
): AsyncGenerator<VariantRow> {
  for (const variant of names) {
    const variants = VARIANTS[variant];
    const named = { variant, adapter: gpu.name };
    const reason = variantFits(gpu, variants);
    if (reason !== null) yield { ...named, outcome: "cannot run", detail: reason };
    else yield { ...named, ...await outcomeOf(gpu, root, { ...options, variants }) };
  }
}

async function outcomeOf(
  gpu: Gpu,
  root: Folder,
  options: GoldenOptions,
): Promise<Pick<VariantRow, "outcome" | "detail">> {
  const results = await Array.fromAsync(runGolden(gpu, root, options));
  const failed = results.filter(({ outcome }) => outcome === "failed");
  const compared = results.filter(({ outcome }) => outcome === "passed");
  if (failed.length > 0 || compared.length === 0) {
    const what = failed.map(({ name, detail }) => `${name}: ${detail}`).join("; ");
    return { outcome: "failed", detail: what || "nothing was compared" };
  }
  const nearest = compared.reduce((a, b) => b.worstShare! > a.worstShare! ? b : a);
  return { outcome: "passed", detail: `${compared.length} compared; ${nearest.name}: ${nearest.detail}` };
}

/** A line for people. */
export function formatRow({ variant, adapter, outcome, detail }: VariantRow): string {
  const width = Math.max(...VARIANT_NAMES.map((name) => name.length));
  return [TABLE_MARK, variant.padEnd(width), `on ${adapter}`, outcome.padEnd(10), detail].join("  ");
}
