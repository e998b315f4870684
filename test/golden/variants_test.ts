/** Every variant against PyTorch's numbers, on this machine's adapter and, run by `test/gpu/dawn_test.ts`, through Dawn. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { variantFits, VARIANTS } from "../../src/nn/variants.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { onEachCompiler } from "../helpers/gpu.ts";
import { precisionOf } from "./golden_cases.ts";
import { formatRow, runVariants, VARIANT_NAMES, type VariantRow } from "./variant_table.ts";

const dir = new URL("../../../shared/golden", import.meta.url).pathname;
const present = existsSync(dir);
const TITLE = "runVariants() finds PyTorch's numbers with every variant forced in turn";

if (!present) Deno.test({ name: `${TITLE} (needs shared data)`, ignore: true, fn: () => {} });
else {onEachCompiler(TITLE, async ({ name, gpu }) => {
    // SwiftShader takes a minute for all: it runs its own, and the one that Mesa lacks a feature for
    const names = name === "dawn" ? ["software", "subgroup"] as const : VARIANT_NAMES;
    const rows: VariantRow[] = [];
    for await (
      const row of runVariants(gpu, new LocalFolder(dir), {
        cases: ["llama"],
        parts: ["lora", "dora"],
        names,
      })
    ) {
      rows.push(row);
      console.log(formatRow(row));
    }
    assert.deepEqual(rows.map(({ variant }) => variant), names);
    for (const { variant, outcome, detail } of rows) {
      const reason = variantFits(gpu, VARIANTS[variant]);
      assert.equal(outcome, reason === null ? "passed" : "cannot run", `${variant}: ${detail}`);
      const told = reason === null
        ? /^26 compared; llama (lora|dora) .*worst [\d.e-]+ of \d/
        : /^its \w+ tile needs /;
      assert.match(detail, told);
    }
  });}

Deno.test("formatRow() tells variant, adapter and outcome in one line", () => {
  assert.equal(
    formatRow({ variant: "subgroup", adapter: "a GPU", outcome: "passed", detail: "20 compared" }),
    "variant |  subgroup       on a GPU  passed      20 compared",
  );
});

Deno.test("precisionOf() is f16 for the one variant that rounds operands", () => {
  assert.deepEqual(VARIANT_NAMES.filter((name) => precisionOf(VARIANTS[name]) === "f16"), ["shared_half"]);
});
