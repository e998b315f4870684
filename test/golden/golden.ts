/**
 * Compares this engine with PyTorch, family by family:
 *
 *     deno task golden DIR [--case NAME]... [--part NAME]... [--variant NAME|all]
 *
 * DIR holds `manifest.json` and a folder a case. `--variant all` forces every variant in turn and prints a line for each.
 * Ends with `N passed, N failed, N skipped`; exit code 1 where something failed or nothing was compared.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { quietMesa } from "../../src/cli/quiet_mesa.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { type GoldenOptions, runGolden } from "./golden_cases.ts";
import { formatRow, runVariants, VARIANT_NAMES, type VariantName } from "./variant_table.ts";

const { values: flags, positionals: [dir] } = parseArgs({
  allowPositionals: true,
  options: {
    case: { type: "string", multiple: true },
    part: { type: "string", multiple: true },
    variant: { type: "string" },
  },
});
const named = VARIANT_NAMES.find((name) => name === flags.variant);
if (!dir || (flags.variant !== undefined && flags.variant !== "all" && !named)) {
  console.error(
    "usage: deno task golden DIR [--case NAME]... [--part NAME]... " +
      `[--variant all|${VARIANT_NAMES.join("|")}]`,
  );
  Deno.exit(2);
}
quietMesa();
const gpu = await openGpu(), root = new LocalFolder(dir);
console.log(`on ${gpu.name}${gpu.software ? " (software)" : ""}`);
const options = {
  ...(flags.case ? { cases: flags.case } : {}),
  ...(flags.part ? { parts: flags.part } : {}),
};
const counts = { passed: 0, failed: 0, skipped: 0 };
if (flags.variant === "all") await everyVariant(options);
else await oneByOne(options, named);
await gpu.close();
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
Deno.exit(counts.failed > 0 || counts.passed === 0 ? 1 : 0);

async function oneByOne(options: GoldenOptions, variant: VariantName | undefined): Promise<void> {
  const all = variant ? { ...options, variants: VARIANTS[variant] } : options;
  for await (const { name, outcome, detail } of runGolden(gpu, root, all)) {
    counts[outcome]++;
    console.log(`${outcome.padEnd(7)}  ${name}: ${detail}`);
  }
}

async function everyVariant(options: GoldenOptions): Promise<void> {
  for await (const row of runVariants(gpu, root, options)) {
    counts[row.outcome === "cannot run" ? "skipped" : row.outcome]++;
    console.log(formatRow(row));
  }
}
