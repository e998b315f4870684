/**
 * Compares this engine with PyTorch, family by family:
 *
 *     deno task golden DIR [--case NAME]...
 *
 * DIR holds `manifest.json` and a folder a case. Ends with `N passed, N failed, N skipped`; exit code 1 where something
 * failed or nothing was compared.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { quietMesa } from "../../src/cli/quiet_mesa.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { runGolden } from "./golden_cases.ts";

const { values: flags, positionals: [dir] } = parseArgs({
  allowPositionals: true,
  options: { case: { type: "string", multiple: true }, variant: { type: "string" } },
});
const variants = flags.variant === undefined ? undefined : VARIANTS[flags.variant as keyof typeof VARIANTS];
if (!dir || (flags.variant !== undefined && !variants)) {
  console.error(
    `usage: deno task golden DIR [--case NAME]... [--variant ${Object.keys(VARIANTS).join("|")}]`,
  );
  Deno.exit(2);
}
quietMesa();
const gpu = await openGpu();
console.log(`on ${gpu.name}${gpu.software ? " (software)" : ""}`);
const counts = { passed: 0, failed: 0, skipped: 0 };
const options = { ...(flags.case ? { cases: flags.case } : {}), ...(variants ? { variants } : {}) };
for await (const { name, outcome, detail } of runGolden(gpu, new LocalFolder(dir), options)) {
  counts[outcome]++;
  console.log(`${outcome.padEnd(7)}  ${name}: ${detail}`);
}
await gpu.close();
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
Deno.exit(counts.failed > 0 || counts.passed === 0 ? 1 : 0);
